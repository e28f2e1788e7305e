"""Sends waves of files and waits for each to be committed in Postgres: `waves.py` with one JSON object on standard input.

    {"url", "staging", "source", "waves", "names", "gap"}

Wave number w is in STAGING/w. All of its files but the last are renamed into the source, then comes a pause of `gap` seconds, and
then the last file. The measured time runs from that rename until another connection sees the ledger's new row, which commits with
the rows themselves; that connection is already open, and queries about once a millisecond. Prints the seconds of all waves but the
first, as a JSON list. Writes the last wave's rows as CSV to STAGING/warehouse.csv.
"""

import json
import sys
import time
from pathlib import Path

import psycopg

# The seconds within which a wave must be committed.
PATIENCE = 60


def main():
    job = json.load(sys.stdin)
    staging, source = Path(job["staging"]), Path(job["source"])
    with psycopg.connect(job["url"], autocommit=True) as warehouse:
        spans = [send(warehouse, staging / str(wave), source, job["names"], job["gap"]) for wave in range(job["waves"])]
        with warehouse.cursor().copy(
            """COPY (SELECT store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount FROM sales_summary)
            TO STDOUT (FORMAT csv, HEADER)"""
        ) as rows, open(staging / "warehouse.csv", "wb") as out:
            for part in rows:
                out.write(part)
    json.dump(spans[1:], sys.stdout)


def send(warehouse, wave, source, names, gap):
    before = loads(warehouse)
    for name in names[:-1]:
        (wave / name).rename(source / name)
    time.sleep(gap)
    last = names[-1]
    start = time.perf_counter()
    (wave / last).rename(source / last)
    while loads(warehouse) == before:
        if time.perf_counter() - start > PATIENCE:
            sys.exit(f"wave {wave.name} was not in Postgres after {PATIENCE} s")
        time.sleep(0.001)
    return time.perf_counter() - start


def loads(warehouse):
    return warehouse.execute("SELECT count(*) FROM gristmill_ledger").fetchone()[0]


main()
