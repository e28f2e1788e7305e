"""Loads a summary of 5 million rows into Postgres: first, with a million rows changed, and re-sent with 1 in 1,000 changed.

The peers get for free what gristmill has to find out: of the million they send only the changed rows. In the last step psql sends
the whole summary again, as any program must that keeps no record of what was loaded. Each contender has its own database, on one
private server with fsync on. After each step the scenario checks that all databases have the same rows.
"""

import json
import subprocess

from .. import table
from ..measure import Failed, run as measured
from ..goal import Goal
from ..postgres import find_programs, server
from ..rounds import Result
from ..workspace import BENCHES, say
from . import Outcome, ratio

# 5 million rows.
STORES, ITEMS, DAYS = 100, 1_000, 50
MEASURES = ["sale_amount", "tax_amount", "discount_amount"]
COLUMNS = ", ".join(["store_id", "item_id", "trans_date", *MEASURES])
OURS, PSQL, ADBC = "gristmill", "psql", "ADBC"
STEPS = {"first": (OURS, PSQL, ADBC), "million": (OURS, PSQL, ADBC), "again": (OURS, PSQL)}

CREATE = f"""CREATE TABLE sales_summary (store_id text, item_id text, trans_date date,
    {", ".join(f"{name} numeric(18,2)" for name in MEASURES)}, PRIMARY KEY (store_id, item_id, trans_date))"""
# Rows that are already right are not written: the best possible merge in SQL.
MERGE = f"""INSERT INTO sales_summary AS t ({COLUMNS}) SELECT {COLUMNS} FROM stage ORDER BY store_id, item_id, trans_date
    ON CONFLICT (store_id, item_id, trans_date) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in MEASURES)}
    WHERE ({", ".join(f"t.{name}" for name in MEASURES)})
        IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in MEASURES)})"""
CONTENTS = f"""SELECT count(*), sum(hashtextextended(concat_ws('|', {COLUMNS}), 0)::numeric) FROM sales_summary"""


def run(bench):
    if not bench.workspace.load.exists():
        raise Failed(f"{bench.workspace.load} does not exist: leave out --no-build")
    folder = bench.workspace.folder("summaries")
    rows = make(bench, folder)
    results = {step: {name: Result(name) for name in names} for step, names in STEPS.items()}
    for number in range(bench.rounds):
        say(f"round {number + 1} of {bench.rounds}")
        with server() as url:
            try:
                one_round(bench, Round(bench, url, folder, rows), results)
            except Failed as failure:
                # A contender that failed has no table to go on with.
                for result in (result for step in results.values() for result in step.values()):
                    result.error = result.error or str(failure)
                break
    return outcome(rows, results)


def make(bench, folder):
    """Writes the summaries; returns the number of rows in each."""
    shape = [str(STORES), str(bench.count(ITEMS)), str(DAYS)]
    say(f"summaries of {' × '.join(shape)} rows")
    command = [bench.workspace.python, BENCHES / "clients" / "summaries.py", folder, *shape]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"cannot write the summaries: {done.stderr.strip()}")
    return json.loads(done.stdout)


def one_round(bench, turn, results):
    for name in (OURS, PSQL, ADBC):
        turn.sql("postgres", f'CREATE DATABASE "{name}"')
    for step, names in STEPS.items():
        contents = {}
        for name in names:
            # Write out what earlier steps have left, so that it does not cost this step time.
            turn.sql(name, "CHECKPOINT")
            cost = measured(turn.command(name, step), bench.log(f"load-{name}-{step}"))
            results[step][name].costs.append(cost)
            contents[name] = turn.sql(name, CONTENTS)
        if len(set(contents.values())) != 1:
            raise Failed(f"the tables differ after the step {step}: {contents}")


class Round:
    """A server with a database for each contender, and the command with which each loads a summary."""

    def __init__(self, bench, url, folder, rows):
        self.workspace, self.folder, self.rows = bench.workspace, folder, rows
        self.server = url.rpartition("/")[0]
        self.psql = find_programs() / "psql"

    def url(self, name):
        return f"{self.server}/{name}"

    def sql(self, name, sql):
        done = subprocess.run([self.psql, self.url(name), "-XAtqc", sql], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def command(self, name, step):
        create = [CREATE] if step == "first" else []
        if name == OURS:
            return [self.workspace.load, self.job(step)]
        if name == ADBC:
            summary = {"million": "changed"}.get(step, step)
            client = [self.workspace.python, BENCHES / "clients" / "with_adbc.py", self.url(name)]
            return [*client, self.folder / f"{summary}.parquet", ";".join([*create, MERGE])]
        stage = ["CREATE TEMP TABLE stage AS SELECT * FROM sales_summary LIMIT 0", f"\\copy stage FROM '{self.folder}/{step}.txt'"]
        statements = ["BEGIN", *create, *stage, MERGE, "COMMIT"]
        return [self.psql, self.url(name), "-Xq", "-v", "ON_ERROR_STOP=1", *(part for sql in statements for part in ("-c", sql))]

    def job(self, step):
        """Writes the file that describes a step, and the one before, to gristmill's loader; returns its path."""
        steps = list(STEPS)
        at = steps.index(step)
        run = {"scope": "bench", "sequence": at + 1, **self.run(step)}
        base = {"base": self.run(steps[at - 1])} if at else {}
        path = self.folder / f"{step}.json"
        path.write_text(json.dumps({"url": self.url(OURS), "table": "sales_summary", "measures": MEASURES, **run, **base}))
        return path

    def run(self, step):
        files = {"summary": str(self.folder / f"{step}.parquet"), "coverage": str(self.folder / "coverage.parquet")}
        return {"run_id": step, "rows": self.rows[step], **files}


def outcome(rows, results):
    lines, ratios = [], {}
    for step, of_step in results.items():
        peers = [result for result in of_step.values() if result.name != OURS and result.ok]
        ratios[step] = ratio(min(peers, key=lambda result: result.wall, default=None), of_step[OURS], "wall")
        for result in of_step.values():
            lines.append(line(NAMES[step].format(**rows), result, of_step[OURS]))
    header = ["", "", "wall", "from", "to", "CPU", "wall ratio"]
    errors = sorted({result.error for of_step in results.values() for result in of_step.values() if result.error})
    goals = [
        Goal("times as fast as the fastest peer, first load", ratios["first"], 3),
        Goal("times as fast as the fastest peer, a fifth of the rows changed", ratios["million"], 1),
        Goal("times as fast as psql's full re-send, 1 row in 1,000 changed", ratios["again"], 50),
    ]
    title = f"Load: a summary of {rows['first']:,} rows into Postgres, keyed by store, item and date"
    numbers = {step: [result.as_json() for result in of_step.values()] for step, of_step in results.items()}
    return Outcome("load", title, [table.table(header, lines), *errors], goals, {"rows": rows, "steps": numbers})


NAMES = {"first": "first load", "million": "{changed:,} rows changed", "again": "re-sent, {changed again:,} rows changed"}


def line(step, result, base):
    if not result.ok:
        return [step, result.name, "failed"]
    walls = [cost.wall for cost in result.costs]
    spans = map(table.seconds, (result.wall, min(walls), max(walls), result.cpu))
    return [step, result.name, *spans, table.times(result.wall / base.wall) if base.ok else ""]
