"""Compares what a site holds with a model: warehouse, ledger, state database and lake.

It shares no code with the product: databases are read with their own clients, Parquet with DuckDB, and what ought to be
there is worked out here from the texts of the files, line by line.
"""

import collections
import decimal
import pathlib

import auditor_databases
import duckdb

MEASURES = {"4": 0, "5": 1, "6": 2}

# The tables that are empty when nothing is left to do.
NOTHING_LEFT = {
    "waiting": "kind, subject, reason",
    "file_attempt": "file_url, attempts",
    "ledger_run": "run_id",
    "file_to_match": "file_id",
    "job_to_match": "job_config_id",
}

# What triggers count: the table, its columns with the count as the last one, and what is counted.
TALLIES = (
    ("tally_file", "feed, status, files", ("feed, last_update_status", "FROM ingested_file_status")),
    ("tally_submission", "outcome, submissions", ("outcome", "FROM submission")),
    ("tally_run", "state, cause, outcome, runs", ("state, cause, coalesce(outcome, '')", "FROM job_run")),
    ("tally_version", "feed, versions", ("feed", "FROM versions JOIN ingested_file_status USING (file_id)")),
)

# How a run or a file that kills the process again and again is given up. A harness that kills at random brings that about.
GIVEN_UP = "the process died"


class Model:
    """What ought to be there.

    `in_force` has the texts that count, by file; `statuses` what became of each file; `rows` the sums of the warehouse.
    `runs` has, by job and wave, what the last loaded run must have read: `Run`. `sent` has all texts that were ever sent
    under a name, where objects of versions that are not in force may be left in the lake without a row.
    """

    def __init__(self, in_force, statuses, runs, rows, sent=None):
        self.in_force, self.statuses, self.runs, self.rows, self.sent = in_force, statuses, runs, rows, sent


class Run:
    """What a job's last loaded run must have read, and summed up.

    `files` are the names of its files, `others` those that it may have read besides. If the summary `is_whole`, it has these
    sums; otherwise it has at least those of `least`, and nothing that is not in `sums`.
    """

    def __init__(self, files, sums, others=(), is_whole=True, least=()):
        self.files, self.sums, self.others = set(files), sums, set(others)
        self.is_whole, self.least = is_whole, least


def rows_of(text):
    """The typed rows of a file, as (number of the line, store, amount, code, item, day)."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 5:
            continue
        store, amount, code, item, day = fields
        if code not in MEASURES:
            continue
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
    """Reads Parquet files below a folder, each once as long as it is the same file."""

    def __init__(self, folder):
        self.folder, self.known = folder, {}
        self.duckdb = duckdb.connect(config={"threads": 1})

    def __call__(self, name):
        """All rows; days as text."""
        path = self.folder / name
        stat = path.stat()
        key = name, stat.st_ino, stat.st_mtime_ns
        if key not in self.known:
            rows = self.duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            self.known[key] = [tuple(v.isoformat() if hasattr(v, "isoformat") else v for v in row) for row in rows]
        return self.known[key]


def keyed(rows):
    return {row[:3]: tuple(row[3:6]) for row in rows}


def amount(value):
    return None if value is None else decimal.Decimal(value)


def difference(found, expected):
    """What differs between two tables of sums, in short."""
    keys = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    told = [f"{key}: {found.get(key)}, not {expected.get(key)}" for key in keys[:5]]
    return f"{len(keys)} of {len(expected)} keys differ: " + "; ".join(told) if keys else ""


def audit(state, warehouse, lake, model):
    """Returns what is wrong: nothing, if all is well. `state` and `warehouse` are URLs, or paths of SQLite's files; `lake` is
    a folder with the lake's objects."""
    lake = pathlib.Path(lake)
    audit = Audit(auditor_databases.database(state), auditor_databases.database(warehouse), lake, model)
    wrong = audit.run()
    audit.close()
    return wrong


class Audit:
    def __init__(self, state, warehouse, lake, model, scratch=None):
        """`scratch` is the folder with the spools, if that is not the lake's."""
        self.state, self.warehouse, self.lake, self.model = state, warehouse, lake, model
        self.scratch = scratch or lake
        self.parquet = Parquet(lake)
        self.wrong, self.unnamed = [], 0

    def run(self):
        """Returns what is wrong."""
        self.wrong = []
        self.databases()
        self.warehouse_rows()
        self.ledger()
        self.runs()
        self.files()
        self.versions()
        self.objects()
        self.tallies()
        return self.wrong

    def close(self):
        self.parquet.duckdb.close()
        self.state.close()
        self.warehouse.close()

    def same(self, what, found, expected):
        if found != expected:
            self.wrong.append(f"{what}: {found!r}, not {expected!r}"[:2000])

    def same_sums(self, what, found, expected):
        if differs := difference(found, expected):
            self.wrong.append(f"{what}: {differs}"[:2000])

    def databases(self):
        self.same("damage of the state database", self.state.damage(), [])
        self.same("damage of the warehouse", self.warehouse.damage(), [])

    def warehouse_rows(self):
        columns = "store_id, item_id, trans_date, sale_amount, tax_amount, discount_amount"
        found = self.warehouse.ask(columns, "FROM sales_summary")
        self.same("rows of the warehouse with a key that is not unique", len({row[:3] for row in found}), len(found))
        found = {row[:3]: tuple(map(amount, row[3:])) for row in found}
        self.same_sums("the rows of the warehouse", found, self.model.rows)

    def ledger(self):
        """Each loaded run stands in the ledger once, and what a scope loaded later has a greater sequence."""
        loaded = self.state.ask("run_id, sequence", "FROM job_run WHERE outcome = 'LOADED'")
        entries = self.warehouse.ask("run_id, sequence, scope, loaded_at", "FROM gristmill_ledger")
        self.same("the ledger", sorted(entry[:2] for entry in entries), sorted(loaded))
        by_time = sorted(entries, key=lambda entry: (entry[2], str(entry[3]), entry[1]))
        for before, after in zip(by_time, by_time[1:]):
            if before[2] == after[2] and before[1] >= after[1]:
                self.wrong.append(f"the ledger: {after} was loaded after {before}")

    def runs(self):
        columns = "job_config_id, wave, sequence, state, outcome, run_id, summary_object, error"
        runs = self.state.ask(columns, "FROM job_run")
        runs.sort(key=lambda run: run[2])
        self.same("runs with a sequence that is not unique", len({run[2] for run in runs}), len(runs))
        last = {run[:2]: run for run in runs}
        for run in runs:
            is_over = run[3] == "COMPLETED"
            # A run that was given up is followed by one that did its work.
            is_over |= run[3] == "FAILED" and GIVEN_UP in (run[7] or "") and last[run[:2]][3] == "COMPLETED"
            if not is_over:
                self.wrong.append(f"the run {run[5]} is {run[3]}: {run[7]}")
        for table, columns in NOTHING_LEFT.items():
            self.same(f"rows of {table}", self.state.ask(columns, f"FROM {table}"), [])
        latest = {run[:2]: run for run in runs if run[4] == "LOADED"}
        self.same("what was loaded", sorted(latest), sorted(self.model.runs))
        inputs = collections.defaultdict(set)
        for run, name in self.state.ask("run_id, file_url", "FROM run_files"):
            inputs[run].add(name)
        for scope in sorted(latest.keys() & self.model.runs.keys()):
            expected, run = self.model.runs[scope], latest[scope]
            files = sorted(inputs[run[5]] - expected.others)
            self.same(f"the files of {run[5]}, the last of {scope}", files, sorted(expected.files))
            found = keyed(self.read(run[6]))
            if expected.is_whole:
                self.same_sums(f"the summary of {run[5]}", found, expected.sums)
                continue
            foreign = {key: sums for key, sums in found.items() if expected.sums.get(key) != sums}
            self.same_sums(f"the summary of {run[5]}, beside other days", foreign, {})
            self.same(f"what {run[5]} lacks", sorted(set(expected.least) - found.keys())[:5], [])

    def files(self):
        self.same("the files", dict(self.state.ask("file_url, status", "FROM files")), self.model.statuses)
        arrivals = collections.Counter(
            self.state.ask(
                "file_id, stamp_bytes, stamp_modified_ns, stamp_inode",
                "FROM submission WHERE outcome NOT IN ('ACCEPTED', 'WITHDRAWN', 'FAILED')",
            )
        )
        twice = [arrival for arrival, times in arrivals.items() if times > 1]
        self.same("arrivals that were recorded more than once", twice, [])

    def versions(self):
        """What was counted and converted of each version: of one in force, and where the texts are known, of all."""
        versions = self.state.ask(
            'file_url, in_force, bytes, "lines", "rows", rejects, ignored, skipped, converted_object, partial_object,'
            " rejects_object",
            "FROM versions",
        )
        in_force = sorted(version[0] for version in versions if version[1])
        self.same("the files with a version in force", in_force, sorted(self.model.in_force))
        for version in versions:
            name, is_in_force = version[:2]
            if is_in_force:
                self.version(version, [self.model.in_force.get(name, "")])
            elif self.model.sent is not None:
                self.version(version, [text for text in self.model.sent[name] if len(text) == version[2]])

    def version(self, version, texts):
        """A version must be one of these texts."""
        name, _, _, lines, rows, rejects, ignored, skipped, converted, partial, rejected = version
        self.same(f"{name}: conservation", rows + rejects + ignored + skipped, lines)
        self.same(f"{name}: the rejects", len(self.read(rejected)) if rejected else 0, rejects)
        found = lines, self.read(converted) if partial else None, keyed(self.read(partial)) if partial else None
        expected = [(len(text.splitlines()), list(rows_of(text)), sums_of([text])) for text in texts]
        if not partial:
            expected = [(counted, None, None) for counted, _, _ in expected]
        if found not in expected:
            self.wrong.append(f"{name}: version {version}: {found!r}, not {expected!r}"[:2000])

    def read(self, name):
        """The rows of an object; none if it cannot be read, which `objects` tells."""
        try:
            return self.parquet(name)
        except (duckdb.Error, OSError):
            return []

    def objects(self):
        """Each object that a row names is there and can be read. Nothing else is, but for what a kill may leave."""
        named = set()
        for column, table in (
            ("converted_object", "file_version"),
            ("partial_object", "file_version"),
            ("rejects_object", "file_version"),
            ("summary_object", "job_run"),
            ("coverage_object", "job_run"),
        ):
            named |= {name for (name,) in self.state.ask(column, f"FROM {table} WHERE {column} IS NOT NULL")}
        there = {str(path.relative_to(self.lake)) for path in self.lake.rglob("*.parquet")}
        self.same("objects that are missing", sorted(named - there), [])
        unnamed = sorted(there - named)
        self.unnamed = len(unnamed)
        self.same("objects that nobody names", [name for name in unnamed if not self.may_be_left(name)], [])
        for name in sorted(named & there):
            try:
                self.parquet(name)
            except duckdb.Error as error:
                self.wrong.append(f"{name} cannot be read: {error}")
        spooled = [path for spool in self.scratch.glob("_spool*") if spool.is_dir() for path in spool.iterdir()]
        self.same("the spool", sorted(map(str, spooled)), [])

    def may_be_left(self, name):
        """Whether a kill may have left an object: that of a version that was replaced before it was recorded."""
        # KIND/FEED/FILE.HASH.parquet
        kind, *_, object = name.split("/")
        file = object.rsplit(".", 2)[0]
        return self.model.sent is not None and kind in ("converted", "partials", "rejects") and file in self.model.sent

    def tallies(self):
        """What triggers have counted is what there is."""
        for tally, columns, of in TALLIES:
            counted = {row[:-1]: row[-1] for row in self.state.ask(columns, f"FROM {tally}") if row[-1] != 0}
            self.same(tally, counted, dict(collections.Counter(self.state.ask(*of))))
