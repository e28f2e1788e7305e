"""Provinces of stores: many jobs over many tiny files, for the scenarios about what a job costs beside its files."""

import os
import time

from .service import ReadOnly, job

LINES = 8


def write(folder, provinces, stores):
    """Writes a file of a few lines for each store of each province, as if it had lain there for an hour."""
    then = time.time() - 3600
    for province in range(provinces):
        for store in range(stores):
            path = folder / f"P{province:04}-{store:04}.tdf"
            path.write_text(lines(f"{province:04}{store:04}"))
            os.utime(path, (then, then))


def lines(store):
    return "".join(f"{store}\t{item}.50\t4\tI{item}\t2026-03-01\n" for item in range(LINES))


def jobs(provinces, stores):
    """A job for each province, which waits for all of its stores."""
    return [job(f"P{number:04}", f"P{number:04}-{{store}}.tdf", stores) for number in range(provinces)]


def missing(installation, loads, files):
    """What the warehouse lacks, for people; None if every job has loaded every line."""
    with ReadOnly(installation.warehouse) as warehouse:
        loaded = warehouse.execute("SELECT count(DISTINCT scope) FROM gristmill_ledger").fetchone()[0]
        rows = warehouse.execute("SELECT count(*) FROM sales_summary").fetchone()[0]
    if (loaded, rows) == (loads, files * LINES):
        return None
    return f"{loaded} of {loads} jobs and {rows:,} of {files * LINES:,} rows were loaded"
