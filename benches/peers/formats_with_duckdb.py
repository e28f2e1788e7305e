"""The job in DuckDB for each format: `formats_with_duckdb.py FORMAT FOLDER OUT.parquet`.

As in with_duckdb.py, all columns are declared, quoting is off where the files have no quotes, and the order of the input need not
be kept. Fixed positions are cut out of a line that is one column.
"""

import sys

import duckdb

format, folder, out = sys.argv[1:]
db = duckdb.connect()
db.execute("SET preserve_insertion_order = false")

TYPES = "store_id: 'VARCHAR', amount: 'DECIMAL(18, 2)', code: 'INTEGER', item_id: 'VARCHAR', trans_date: 'DATE'"
EXTRA = ", extra_1: 'VARCHAR', extra_2: 'VARCHAR', extra_3: 'VARCHAR'"
PLAIN = "header = false, quote = '', escape = '', auto_detect = false"


def csv(delimiter, types, how=PLAIN):
    return f"read_csv('{folder}/*', delim = '{delimiter}', {how}, columns = {{{types}}})"


LINES = csv("\x01", "line: 'VARCHAR'")
SOURCES = {
    "plain": csv("\t", TYPES + EXTRA),
    "gz": csv("\t", TYPES + EXTRA),
    "zst": csv("\t", TYPES + EXTRA),
    "comma": csv(";", TYPES, PLAIN + ", decimal_separator = ','"),
    "newlines": csv(",", TYPES + ", note: 'VARCHAR'", "header = false, quote = '\"', escape = '\"', auto_detect = false"),
    "parquet": f"read_parquet('{folder}/*')",
    "json": f"read_json('{folder}/*', format = 'newline_delimited', columns = {{{TYPES}}})",
    "fixed": f"""(SELECT rtrim(line[1:12]) AS store_id, CAST(line[13:26] AS DECIMAL(18, 2)) AS amount,
        CAST(line[27:30] AS INTEGER) AS code, rtrim(line[31:46]) AS item_id, CAST(line[47:56] AS DATE) AS trans_date FROM {LINES})""",
}
SUMS = ", ".join(
    f"CAST(sum(amount) FILTER (code = {code}) AS DECIMAL(18, 2)) AS {name}"
    for name, code in {"sale_amount": 4, "tax_amount": 5, "discount_amount": 6}.items()
)
KEYS = "store_id, item_id, trans_date"
if format == "wide":
    types = "store_id: 'VARCHAR', item_id: 'VARCHAR', trans_date: 'DATE', " + ", ".join(
        f"{name}: 'DECIMAL(18, 2)'" for name in ("sale", "tax", "discount")
    )
    source = csv(",", types, PLAIN.replace("header = false", "header = true"))
    sums = ", ".join(f"CAST(sum({name}) AS DECIMAL(18, 2)) AS {name}_amount" for name in ("sale", "tax", "discount"))
    query = f"SELECT {KEYS}, {sums} FROM {source} WHERE coalesce(sale, tax, discount) IS NOT NULL"
else:
    query = f"SELECT {KEYS}, {SUMS} FROM {SOURCES[format]} WHERE code IN (4, 5, 6)"
db.execute(f"COPY ({query} GROUP BY ALL ORDER BY {KEYS}) TO '{out}' (FORMAT parquet)")
