"""The harness of `benches/compare`: it measures gristmill beside its peers. `docs/performance.md` says how to use it.

It needs only Python's standard library. What needs more (the peers, the check of the summaries) runs in a private Python, as a
process of its own, so that it can be measured from outside like gristmill itself.

    cli.py        the command line
    workspace.py  the folders, and the programs that are built and installed
    data.py       feeds from the generator, kept between runs
    measure.py    what one process costs
    contender.py  a program that can do the job, or a server that stays up and does it
    rounds.py     contenders in turn, over several rounds
    verify.py     whether a summary is right
    service.py    `gristmill run`: its settings file, its source folder, its warehouse
    postgres.py   a private server
    goal.py       what has to be reached, and whether it was
    stats.py, table.py, bars.py, curve.py, svg.py   medians, tables and charts
    record.py     the machine, and the JSON of a run
    scenarios/    one file for each scenario
"""
