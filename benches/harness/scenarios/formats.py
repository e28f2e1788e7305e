"""The same sales in the formats that stores write: gzip, zstd, zip, fixed positions, JSON, amounts side by side, quoted newlines,
decimal commas, dBASE, workbooks and Parquet, each beside DuckDB and Polars where they read the same.

Every contender writes the same sorted Parquet, which is checked. Speeds are in megabytes as they lie on the disk, and in lines.
"""

from .. import contender, formats, table
from ..contender import PEERS, Program
from ..data import Feed, Spec, warm
from ..goal import Goal
from ..rounds import in_turn
from ..stats import rounds
from . import Outcome, ratio

FILES, LINES = 8, 250_000
# How many times as fast as the fastest peer each must be. The others are measured only.
NEEDED = {"gz": 2, "zst": 2, "json": 2, "parquet": 2}


def run(bench):
    feed = bench.feed(Spec(files=FILES, lines=LINES))
    verifier = bench.verifier(feed)
    tables, goals, numbers, speeds = [], [], [], []
    for name in formats.FEEDS:
        place, size = formats.folder(feed, name, bench.workspace.python)
        of_format = Feed(feed.spec, place, size)
        warm(bench.workspace, of_format)
        settings = formats.settings(place, name, bench.workspace.work / f"{name}.toml")
        contenders = [ours(bench.workspace, settings), *peers(bench, name)]
        results = in_turn(bench.workspace, contenders, bench.rounds, place, verifier.check)
        own = results[0]
        rivals = [result for result in results[1:] if result.ok]
        rival = min(rivals, key=lambda result: result.wall, default=None)
        tables += [f"### {name}", table.costs(results, own, size)]
        if own.ok:
            speeds.append(f"{name}: {size / own.wall / 1e6:,.0f} MB/s, {feed.lines / own.wall / 1e6:.2f} million lines/s")
        if name in NEEDED:
            peer = f" ({rival.name})" if rival else ""
            goals.append(Goal(f"times as fast as the fastest peer{peer}, {name}", ratio(rival, own, "wall"), NEEDED[name]))
        numbers.append({"format": name, "bytes": size, "lines": feed.lines, "results": [result.as_json() for result in results]})
    title = f"Formats: {feed}, in {len(formats.FEEDS)} formats; {rounds(bench.rounds)} in turn"
    return Outcome("formats", title, [*tables, "\n".join(speeds)], goals, {"formats": numbers})


def ours(workspace, settings):
    command = lambda folder, out: [workspace.gristmill, "aggregate", folder, "-o", out, "-c", settings, "--feed", "sales"]
    return Program(contender.OURS, command)


def peers(bench, name):
    """DuckDB and Polars, unless others are wanted."""

    def peer(title, script):
        command = lambda folder, out: [bench.workspace.python, PEERS / f"formats_with_{script}.py", name, folder, out]
        return Program(title, command)

    everyone = {"duckdb": peer("DuckDB", "duckdb"), "polars": peer("Polars", "polars")}
    wanted = [key for key in formats.READERS.get(name, everyone) if bench.only is None or key in bench.only]
    return [everyone[key] for key in wanted]
