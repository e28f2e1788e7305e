"""Provinces of stores: 200 jobs over 20,000 tiny files, beside one job over the same files; then 1,000 jobs over 100,000."""

from .. import provinces, table
from ..goal import Goal
from ..measure import Failed
from ..rounds import Result, guarded
from ..service import Installation, job
from ..workspace import say
from . import Outcome, ratio

JOBS, STORES, MANY = 200, 100, 1_000


def run(bench):
    few, many = bench.count(JOBS, least=2), bench.count(MANY, least=4)
    source = folder(bench, few)
    one, all_of_them = results = [Result("one job"), Result(f"{few:,} jobs")]
    for number in range(bench.rounds):
        say(f"round {number + 1} of {bench.rounds}")
        guarded(one, measure, bench, one, source, few, [job("all", "*-{store}.tdf", few * STORES)])
        guarded(all_of_them, measure, bench, all_of_them, source, few, provinces.jobs(few, STORES))
    say(f"{many:,} jobs over {many * STORES:,} files")
    large = Result(f"{many:,} jobs, {many * STORES:,} files")
    guarded(large, measure, bench, large, folder(bench, many), many, provinces.jobs(many, STORES))
    goals = [
        Goal(f"time of {few:,} jobs beside one over the same {few * STORES:,} files", ratio(all_of_them, one, "wall"), 2, at_most=True),
        Goal(f"files a second with {many:,} jobs", many * STORES / large.wall if large.ok else None, 1_500),
    ]
    results.append(large)
    title = f"Provinces: {STORES} stores of {provinces.LINES} lines for each job, to a loaded warehouse"
    numbers = {"results": [result.as_json() for result in results]}
    return Outcome("provinces", title, [table.costs(results, one)], goals, numbers)


def folder(bench, jobs):
    source = bench.workspace.folder(f"provinces-{jobs}")
    provinces.write(source, jobs, STORES)
    return source


def measure(bench, result, source, count, jobs):
    installation = Installation(bench.workspace, source, 0, jobs=jobs)
    cost = installation.run_until_idle(bench.log("run"))
    lack = provinces.missing(installation, len(jobs), count * STORES)
    if lack:
        raise Failed(lack)
    result.costs.append(cost)
