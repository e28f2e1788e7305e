"""Writes the summaries that `load` loads: `summaries.py FOLDER STORES ITEMS DAYS`.

There are three summaries of STORES × ITEMS × DAYS rows, each in the order of the keys: `first`; `million`, in which a fifth of
the rows have another amount than in `first`; and `again`, in which a thousandth have another amount than in `million`. Each is
written as Parquet in the form of gristmill's own summaries. Text that psql reads holds `first` and `again` whole, and of `million`
the changed rows only. The changed rows of `million` are also written as Parquet, and so is the coverage. Prints the numbers of
rows as JSON.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as parquet

KEYS = ["store_id", "item_id", "trans_date"]
COLUMNS = "store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount"
# gristmill's own summaries have row groups and pages of this many rows, and record where the pages are.
ROW_GROUP, PAGE = 256 << 10, 20_000


def main():
    folder, stores, items, days = Path(sys.argv[1]), *map(int, sys.argv[2:])
    db = duckdb.connect()
    db.execute(
        f"""CREATE TABLE first AS
        SELECT 'IL-' || (1000 + s) AS store_id, 'ITEM-' || lpad(i::VARCHAR, 5, '0') AS item_id,
            DATE '2026-01-01' + d::INTEGER AS trans_date,
            (hash(s, i, d) % 1000000 / 100)::DECIMAL(18, 2) AS sale_amount,
            (hash(i, d, s) % 50000 / 100)::DECIMAL(18, 2) AS tax_amount,
            CASE WHEN (i + d) % 3 = 0 THEN (-(d + 1) / 4)::DECIMAL(18, 2) END AS discount_amount,
            hash(d, s, i) % 1000 AS lot
        FROM range({stores}) x (s), range({items}) y (i), range({days}) z (d) ORDER BY ALL"""
    )
    db.execute(change("million", "first", "lot < 200"))
    db.execute(change("again", "million", "lot = 200"))
    rows = {}
    for name in ("first", "million", "again"):
        table = db.execute(f"SELECT {COLUMNS} FROM {name} ORDER BY {', '.join(KEYS)}").to_arrow_table()
        parquet.write_table(
            table,
            folder / f"{name}.parquet",
            row_group_size=ROW_GROUP,
            max_rows_per_page=PAGE,
            write_page_index=True,
            use_dictionary=KEYS,
            store_decimal_as_integer=True,
        )
        rows[name] = table.num_rows
    write_text(db, folder / "first.txt", "first")
    write_text(db, folder / "million.txt", "million WHERE lot < 200")
    write_text(db, folder / "again.txt", "again")
    covered = db.execute("SELECT DISTINCT store_id, trans_date FROM first ORDER BY ALL").to_arrow_table()
    parquet.write_table(covered, folder / "coverage.parquet")
    changed = db.execute(f"SELECT {COLUMNS} FROM million WHERE lot < 200 ORDER BY {', '.join(KEYS)}").to_arrow_table()
    parquet.write_table(changed, folder / "changed.parquet", store_decimal_as_integer=True)
    rows["changed"] = changed.num_rows
    rows["changed again"] = db.execute("SELECT count(*) FROM first WHERE lot = 200").fetchone()[0]
    print(json.dumps(rows))


def change(name, of, lots):
    new = f"CASE WHEN {lots} THEN (sale_amount + 1)::DECIMAL(18, 2) ELSE sale_amount END"
    return f"CREATE TABLE {name} AS SELECT * REPLACE ({new} AS sale_amount) FROM {of}"


def write_text(db, path, of):
    db.execute(
        f"""COPY (SELECT {COLUMNS} FROM {of} ORDER BY {', '.join(KEYS)})
        TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false, NULLSTR '\\N', QUOTE '', ESCAPE '')"""
    )


if __name__ == "__main__":
    main()
