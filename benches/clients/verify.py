"""Checks summaries with DuckDB: computes what a summary must hold, and compares.

    verify.py expected FOLDER OUT.parquet            from the files of a clean feed
    verify.py expected-dirty FOLDER OUT.parquet      from lines that may be quoted, end in CR LF, or be bad
    verify.py compare EXPECTED.parquet SUMMARY       SUMMARY is a Parquet file, a folder of them, or a CSV dump of a warehouse

`compare` prints a JSON object: the number of rows expected, and how many are missing, surplus, different, or out of order in their
file.
"""

import json
import sys
from pathlib import Path

import duckdb

SUMS = ", ".join(
    f"CAST(sum(amount) FILTER (code = {code}) AS DECIMAL(18, 2)) AS {name}"
    for name, code in {"sale_amount": 4, "tax_amount": 5, "discount_amount": 6}.items()
)
MEASURES = ["sale_amount", "tax_amount", "discount_amount"]
KEYS = "store_id, item_id, trans_date"

CLEAN = """
    SELECT * FROM read_csv('{folder}/*.tdf', delim = '\t', header = false, quote = '', escape = '', auto_detect = false,
        columns = {{store_id: 'VARCHAR', amount: 'DECIMAL(18, 2)', code: 'INTEGER', item_id: 'VARCHAR',
            trans_date: 'DATE', extra_1: 'VARCHAR', extra_2: 'VARCHAR', extra_3: 'VARCHAR'}})"""

# The rules for lines are strict, so the fields are matched as text before they are cast. `ignore_errors` leaves out lines that are
# not valid UTF-8. This handles only the kinds of bad lines that the generator's --bad produces.
DIRTY = r"""
    SELECT store_id, amount::DECIMAL(18, 2) AS amount, code::INTEGER AS code, item_id, trans_date::DATE AS trans_date
    FROM (
        SELECT trim(f[1], '"') AS store_id, f[2] AS amount, f[3] AS code, trim(f[4], '"') AS item_id,
            trim(f[5], '"') AS trans_date
        FROM (
            SELECT string_split(rtrim(text, chr(13)), chr(9)) AS f
            FROM read_csv('{folder}/*.tdf', delim = '\x01', header = false, quote = '', escape = '', auto_detect = false,
                ignore_errors = true, columns = {{text: 'VARCHAR'}})
        )
    )
    WHERE regexp_full_match(amount, '[+-]?\d{{1,16}}(\.\d{{0,2}}0*)?') AND TRY_CAST(code AS BIGINT) <= 2147483647
        AND regexp_full_match(code, '[+-]?\d+') AND regexp_full_match(trans_date, '\d{{4}}-\d\d-\d\d')
        AND NOT starts_with(trans_date, '0000') AND TRY_CAST(trans_date AS DATE) IS NOT NULL
        AND length(trim(store_id)) > 0 AND length(store_id) <= 25
        AND length(trim(item_id)) > 0 AND length(item_id) <= 25 AND NOT contains(item_id, chr(0))"""


def expected(db, lines, folder, out):
    db.execute(
        f"""COPY (
            SELECT {KEYS}, {SUMS} FROM ({lines.format(folder=folder)}) WHERE code IN (4, 5, 6)
            GROUP BY ALL ORDER BY {KEYS}
        ) TO '{out}' (FORMAT parquet)"""
    )


def compare(db, expected, summary):
    path = Path(summary)
    if path.suffix == ".csv":
        rows = f"read_csv('{path}', header = true, all_varchar = true, nullstr = '')"
        source = f"(SELECT *, '' AS filename, 0 AS file_row_number FROM {rows})"
    else:
        files = f"{path}/*.parquet" if path.is_dir() else path
        source = f"read_parquet('{files}', filename = true, file_row_number = true)"
    # A cast to two places would hide a third place, so values are compared with six.
    wide = ", ".join(f"CAST({name} AS DECIMAL(38, 6)) AS {name}" for name in MEASURES)
    wanted = f"(SELECT *, '' AS filename, 0 AS file_row_number FROM read_parquet('{expected}'))"
    for table, rows in (("wanted", wanted), ("found", source)):
        db.execute(
            f"""CREATE TEMP TABLE {table} AS SELECT CAST(store_id AS VARCHAR) AS store_id,
                CAST(item_id AS VARCHAR) AS item_id, CAST(trans_date AS DATE) AS trans_date, {wide}, filename, file_row_number
            FROM {rows}"""
        )
    different = " OR ".join(f"w.{name} IS DISTINCT FROM f.{name}" for name in MEASURES)
    names = ["rows", "missing", "surplus", "different", "unsorted"]
    row = db.execute(
        f"""
        WITH joined AS (SELECT w.store_id AS w, f.store_id AS f, {different} AS different
            FROM wanted w FULL JOIN found f USING ({KEYS})),
        steps AS (SELECT ({KEYS}) <= lag(({KEYS})) OVER (PARTITION BY filename ORDER BY file_row_number) AS back FROM found)
        SELECT (SELECT count(*) FROM wanted), count(*) FILTER (f IS NULL), count(*) FILTER (w IS NULL),
            count(*) FILTER (different AND f IS NOT NULL AND w IS NOT NULL),
            {"0" if path.suffix == ".csv" else "(SELECT count(*) FROM steps WHERE back)"}
        FROM joined"""
    ).fetchone()
    json.dump(dict(zip(names, row)), sys.stdout)


def main():
    task, first, second = sys.argv[1:]
    db = duckdb.connect()
    if task == "compare":
        compare(db, first, second)
    else:
        expected(db, {"expected": CLEAN, "expected-dirty": DIRTY}[task], first, second)


main()
