"""Compares what a site holds with a model: warehouse, ledger, state database and lake.

It shares no code with the product: databases are read with sqlite3, Parquet with DuckDB, and what ought to be there is
worked out here from the texts of the files, line by line.
"""

import collections
import decimal
import pathlib
import sqlite3

import duckdb

MEASURES = {"4": 0, "5": 1, "6": 2}


class Model:
    """What ought to be there: the texts that count, what became of each file, and the jobs with their patterns."""

    def __init__(self, in_force, statuses, jobs):
        self.in_force, self.statuses, self.jobs = in_force, statuses, jobs


def rows_of(text):
    """The typed rows of a file, as (number of the line, store, amount, code, item, day)."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 5:
            continue
        store, amount, code, item, day = fields
        try:
            cents = decimal.Decimal(amount)
        except decimal.InvalidOperation:
            continue
        yield number, store, cents, int(code), item, day


def sums_of(texts):
    """The sums of each store, item and day; None where no line has the code."""
    sums = collections.defaultdict(lambda: [None, None, None])
    for text in texts:
        for _, store, amount, code, item, day in rows_of(text):
            measure = MEASURES[str(code)]
            amounts = sums[store, item, day]
            amounts[measure] = (amounts[measure] or 0) + amount
    return {key: tuple(amounts) for key, amounts in sums.items()}


class Parquet:
    """Reads Parquet files below a folder, each once."""

    def __init__(self, folder):
        self.folder, self.read = folder, {}
        self.duckdb = duckdb.connect(config={"threads": 1})

    def __call__(self, name):
        """All rows; days as text."""
        if name not in self.read:
            rows = self.duckdb.execute("SELECT * FROM read_parquet(?)", [str(self.folder / name)]).fetchall()
            self.read[name] = [tuple(v.isoformat() if hasattr(v, "isoformat") else v for v in row) for row in rows]
        return self.read[name]


def keyed(rows):
    return {row[:3]: tuple(row[3:6]) for row in rows}


def amount(text):
    return None if text is None else decimal.Decimal(text)


def audit(site, lake, model):
    """Returns what is wrong: nothing, if all is well. `lake` is a folder with the lake's objects."""
    wrong = []

    def same(what, found, expected):
        if found != expected:
            wrong.append(f"{what}: {found!r}, not {expected!r}"[:2000])

    site, lake = pathlib.Path(site), pathlib.Path(lake)
    parquet = Parquet(lake)
    state, warehouse = (sqlite3.connect(site / name) for name in ("state.db", "warehouse.db"))
    for name, database in (("state", state), ("warehouse", warehouse)):
        same(f"the {name} database is sound", database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        same(f"references of the {name} database", database.execute("PRAGMA foreign_key_check").fetchall(), [])

    # The warehouse.
    found = warehouse.execute(
        "SELECT store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount FROM sales_summary"
    )
    found = {row[:3]: tuple(map(amount, row[3:])) for row in found}
    of_sales = [text for name, text in model.in_force.items() if not name.startswith("Item")]
    same("the rows of the warehouse", found, sums_of(of_sales))

    # The ledger, and the runs.
    loaded = state.execute("SELECT run_id, sequence FROM job_run WHERE outcome = 'LOADED' ORDER BY 1").fetchall()
    same("the ledger", warehouse.execute("SELECT run_id, sequence FROM gristmill_ledger ORDER BY 1").fetchall(), loaded)
    states = state.execute("SELECT DISTINCT state FROM job_run").fetchall()
    same("the states of runs", states, [("COMPLETED",)])
    for table in ("waiting", "file_attempt", "ledger_run", "file_to_match", "job_to_match"):
        same(f"rows of {table}", state.execute(f"SELECT * FROM {table}").fetchall(), [])
    for job, matches in model.jobs.items():
        latest = state.execute(
            "SELECT run_id, summary_object FROM job_run WHERE job_config_id = ? AND outcome = 'LOADED'"
            " ORDER BY sequence DESC LIMIT 1",
            [job],
        ).fetchone()
        texts = {name: text for name, text in model.in_force.items() if matches(name)}
        inputs = state.execute(
            "SELECT file_url FROM run_files WHERE run_id = ? ORDER BY 1", [latest[0]]
        ).fetchall()
        same(f"the files of {job}'s last run", [name for (name,) in inputs], sorted(texts))
        same(f"{job}'s summary", keyed(parquet(latest[1])), sums_of(texts.values()))

    # The files, and what the lake has of the versions in force.
    statuses = dict(state.execute("SELECT file_url, status FROM files").fetchall())
    same("the files", statuses, model.statuses)
    versions = state.execute(
        "SELECT file_url, lines, rows, rejects, ignored, skipped, converted_object, partial_object, rejects_object"
        " FROM versions WHERE in_force"
    ).fetchall()
    same("the files with a version in force", sorted(v[0] for v in versions), sorted(model.in_force))
    for name, lines, rows, rejects, ignored, skipped, converted, partial, rejected in versions:
        text = model.in_force.get(name, "")
        same(f"{name}: the lines", lines, len(text.splitlines()))
        same(f"{name}: conservation", rows + rejects + ignored + skipped, lines)
        if partial:
            read = [(n, s, a, c, i, d) for n, s, a, c, i, d in parquet(converted)]
            same(f"{name}: the converted rows", read, list(rows_of(text)))
            same(f"{name}: the partial", keyed(parquet(partial)), sums_of([text]))
        same(f"{name}: the rejects", len(parquet(rejected)) if rejected else 0, rejects)

    # The lake: each object that a row names is there and can be read, and nothing else is.
    named = set()
    for column, table in (
        ("converted_object", "file_version"),
        ("partial_object", "file_version"),
        ("rejects_object", "file_version"),
        ("summary_object", "job_run"),
        ("coverage_object", "job_run"),
    ):
        named |= {name for (name,) in state.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")}
    there = {str(path.relative_to(lake)) for path in lake.rglob("*.parquet")}
    same("objects that are missing", sorted(named - there), [])
    same("objects that nobody names", sorted(there - named), [])
    for name in sorted(named & there):
        try:
            parquet(name)
        except duckdb.Error as error:
            wrong.append(f"{name} cannot be read: {error}")
    spool = lake / "_spool"
    same("the spool", sorted(map(str, spool.iterdir())) if spool.exists() else [], [])
    parquet.duckdb.close()
    state.close()
    warehouse.close()
    return wrong
