"""The oracle of the tests: computes with DuckDB what the warehouse must hold for a set of files.

It shares no code with gristmill: the data rules are written a second time, as SQL over the raw lines. Python only
decodes files and cuts them into lines. The module doc of src/oracle.rs states the rules in words.

Reads paths from standard input, each ended by a NUL byte. Writes one JSON object: `summary`, a list of rows sorted by
the bytes of their keys, and `counts`, one object for each file in the order given.
"""

import argparse
import codecs
import json
import os
import re
import sys

import duckdb

COLUMNS = ["store_id", "amount", "code", "item_id", "trans_date"]
LONGEST_LINE = 1 << 20

# DuckDB text must be valid UTF-8, and a NUL in it would be fragile: each kind of damage is represented by a character
# that no feed contains.
INVALID, NUL = "\U0010ffff", "\U0010fffe"
MARK = "\ufeff"
codecs.register_error("mark", lambda error: (INVALID, error.end))

FIELD = r'"(?:[^"]|"")*"|[^"\t][^\t]*|'
BLANK = r"[ \t\f\r]*"
# What no id holds, and what is taken off its ends.
UNSEEN = r"\x01-\x1f\x7f-\x9f\x{a0}\x{2007}\x{202f}\x{200b}-\x{200f}\x{2060}\x{feff}"
AMOUNT = r"[+-]?(\d+(\.\d*)?|\.\d+)"
CODE = r"[+-]?\d+"


def transcoded(content, encoding):
    """Returns the content as UTF-8. Marks what cannot be decoded, and what another program could not decode before."""
    return content.decode(encoding, "mark").replace("\ufffd", INVALID).encode()


def lines_of(path, encoding):
    """Yields the lines of a file as (size in bytes with the line end, text without it)."""
    with open(path, "rb") as file:
        content = file.read()
    if content.startswith(codecs.BOM_UTF8):
        content = content[3:]
    elif content.startswith(codecs.BOM_UTF16_LE):
        content = transcoded(content[2:], "utf-16-le")
    elif content.startswith(codecs.BOM_UTF16_BE):
        content = transcoded(content[2:], "utf-16-be")
    elif encoding != "utf-8":
        content = transcoded(content, encoding)
    content, mark, behind = content.partition(b"\x1a")
    text = content.rstrip(b"\0")
    for line in split(text):
        size = len(line) + 1
        short = size <= LONGEST_LINE
        yield size, line.decode("utf-8", "mark").replace("\0", NUL).lstrip(MARK) if short else ""
    # What is not read is as good as a blank line.
    own = (mark or text != content) and not text[-1:].strip(b"\r\n")
    for _ in range(bool(own) + max(len(split(behind)) - 1, 0)):
        yield 1, ""


def split(text):
    """Returns the lines of a text without their ends."""
    lines = re.split(rb"\r\r\n|\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]


def read(db, paths, encoding):
    db.execute("CREATE TABLE line (file INTEGER, number INTEGER, size BIGINT, text VARCHAR)")
    batch = ([], [], [], [])

    def flush():
        columns = "unnest($1::INT[]), unnest($2::INT[]), unnest($3::BIGINT[]), unnest($4::VARCHAR[])"
        db.execute(f"INSERT INTO line SELECT {columns}", batch)
        for column in batch:
            column.clear()

    for file, path in enumerate(paths):
        for number, (size, text) in enumerate(lines_of(path, encoding), start=1):
            for column, value in zip(batch, (file, number, size, text)):
                column.append(value)
        if len(batch[0]) > 200_000:
            flush()
    flush()


def pattern(positions):
    """Returns a regular expression that captures the columns at `positions` and ignores everything after the last."""
    fields = [f"({FIELD})" if p in positions else f"(?:{FIELD})" for p in range(max(positions) + 1)]
    return "^" + r"\t".join(fields) + r"(?:\t|$)"


def fields_sql(positions):
    """Returns SQL that selects the five fields, unquoted, of lines that `pattern` matches."""
    by_position = sorted(range(len(COLUMNS)), key=positions.__getitem__)
    names = ", ".join(f"'{COLUMNS[column]}'" for column in by_position)
    extract = f"regexp_extract(text, '{pattern(positions)}', [{names}])"
    unquoted = ", ".join(
        f"""CASE WHEN starts_with(f.{name}, '"') THEN replace(f.{name}[2:-2], '""', '"') ELSE f.{name} END AS {name}"""
        for name in COLUMNS
    )
    return f"SELECT file, number, {unquoted} FROM (SELECT file, number, {extract} AS f FROM candidate)"


def names_of(text):
    """Returns the names in a header, or none if its quotes are wrong."""
    names, rest = [], text
    while True:
        match = re.match(f"({FIELD})(?:\t|$)", rest)
        if match is None:
            return []
        name = match[1]
        if name.startswith('"'):
            name = name[1:-1].replace('""', '"')
        names.append(" ".join(name.lower().split()))
        if match.end() == match.end(1):
            break
        rest = rest[match.end() :]
    return names


def header_positions(names):
    """Returns the positions of the five columns in a header, or None if it does not name each of them once."""
    return tuple(map(names.index, COLUMNS)) if all(names.count(c) == 1 for c in COLUMNS) else None


def classify(db):
    """Gives each line a kind (skipped, reject or data), finds headers, and groups the files by the positions of their columns.

    Also returns the files whose headers cannot be used.
    """
    db.execute(
        rf"""
        CREATE TABLE classified AS SELECT *, CASE
            WHEN size > {LONGEST_LINE} THEN 'reject'
            WHEN regexp_full_match(text, '{BLANK}') OR starts_with(text, '--') THEN 'skipped'
            ELSE 'data' END AS kind
        FROM line"""
    )
    declared = tuple(range(len(COLUMNS)))
    db.execute(
        """
        CREATE TABLE candidate AS
        SELECT * FROM classified WHERE kind <> 'skipped'
        QUALIFY row_number() OVER (PARTITION BY file ORDER BY number) = 1"""
    )
    firsts = dict(db.execute("SELECT file, number FROM candidate").fetchall())
    db.execute(f"DELETE FROM candidate WHERE kind = 'reject' OR NOT regexp_matches(text, '{pattern(declared)}')")
    by_values = {
        file: (store, item, date)
        for file, store, item, date in db.execute(
            rf"""
            SELECT file, store_id, item_id, trim(trans_date, ' ') FROM ({fields_sql(declared)})
            WHERE NOT regexp_full_match(trim(amount, ' '), '{AMOUNT}') AND NOT regexp_full_match(trim(code, ' '), '{CODE}')"""
        ).fetchall()
    }
    db.execute("DROP TABLE candidate")
    named = " + ".join(f"contains(lower(text), '{column}')::INT" for column in COLUMNS)
    lines = db.execute(
        f"SELECT file, number, text FROM classified WHERE kind = 'data' AND ({named} >= 3 OR number = ANY "
        "(SELECT unnest($1::INT[]))) ORDER BY file, number",
        [list(firsts.values())],
    ).fetchall()
    known, refused = {}, set()
    for file, number, text in lines:
        names = names_of(text)
        count = len(set(COLUMNS) & set(names))
        is_first = firsts.get(file) == number
        if count < 3 and not (is_first and file in by_values):
            continue
        if count == 0:
            store, item, date = by_values[file]
            like = [text for (text,) in db.execute(
                "SELECT text FROM classified WHERE file = ? AND number <> ? AND kind = 'data'", [file, number]).fetchall()]
            fields = [line.split("\t") for line in like if line.count("\t") >= 4]
            if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", date) or any(f[0] == store or f[3] == item for f in fields):
                continue
        db.execute("UPDATE classified SET kind = 'skipped' WHERE file = ? AND number = ?", [file, number])
        positions = header_positions(names)
        if positions is None or (not is_first and file not in known and number <= 20):
            refused.add(file)
        elif is_first:
            known[file] = positions
        elif positions != known.get(file, declared):
            raise SystemExit("a file whose columns move is not for the oracle")
    layouts = {declared: []}
    for file in {file for (file,) in db.execute("SELECT DISTINCT file FROM classified").fetchall()}:
        layouts.setdefault(known.get(file, declared), []).append(file)
    return layouts, refused


def convert(db, layouts):
    """Creates the table `row`: the well-formed lines with typed values. A data line that is not in it is a reject."""
    db.execute("CREATE TABLE field (file INT, number INT, " + ", ".join(f"{c} VARCHAR" for c in COLUMNS) + ")")
    for positions, files in layouts.items():
        db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE candidate AS SELECT * FROM classified
            WHERE kind = 'data' AND list_contains($1::INT[], file) AND regexp_matches(text, '{pattern(positions)}')""",
            [files],
        )
        db.execute(f"INSERT INTO field {fields_sql(positions)}")

    def identifier(column):
        return rf"""{column} <> '' AND length({column}) <= 25
            AND NOT contains({column}, '{INVALID}') AND NOT contains({column}, '{NUL}')
            AND NOT regexp_matches({column}, '[{UNSEEN}]')
            AND NOT regexp_full_match({column}, '="(?s:.)+"') AND NOT regexp_full_match({column}, '''\d+')"""

    def visible(column):
        return rf"regexp_replace({column}, '^[ {UNSEEN}]+|[ {UNSEEN}]+$', '', 'g') AS {column}"

    db.execute(
        rf"""
        CREATE TABLE row AS
        WITH visible AS (
            SELECT file, {visible('store_id')}, {visible('item_id')},
                trim(amount, ' ') AS amount, trim(code, ' ') AS code, trim(trans_date, ' ') AS trans_date
            FROM field
        ), trimmed AS (
            SELECT * FROM visible WHERE {identifier('store_id')} AND {identifier('item_id')}
        ), cut AS (
            SELECT *,
                starts_with(amount, '-') AS negative,
                ltrim(regexp_extract(amount, '^[+-]?(\d*)', 1), '0') AS units,
                regexp_extract(amount, '\.(\d*)$', 1) AS places
            FROM trimmed
            WHERE (regexp_full_match(amount, '{AMOUNT}') OR amount = '') AND regexp_full_match(code, '{CODE}')
                AND regexp_full_match(trans_date, '\d{{4}}-\d{{1,2}}-\d{{1,2}}') AND NOT starts_with(trans_date, '0000')
        ), typed AS (
            SELECT file, store_id, item_id,
                TRY_CAST(trans_date AS DATE) AS trans_date,
                TRY_CAST(code AS INTEGER) AS code,
                amount = '' AS is_none,
                CASE WHEN amount <> '' AND length(units) <= 16 AND regexp_full_match(places, '\d{{0,2}}') THEN
                    CAST(concat(CASE WHEN negative THEN '-' END, '0', units, '.', rpad(places[1:2], 2, '0')) AS DECIMAL(18, 2))
                END AS amount
            FROM cut
        )
        SELECT * FROM typed WHERE trans_date IS NOT NULL AND code IS NOT NULL
            AND (amount IS NOT NULL OR (is_none AND code NOT IN (4, 5, 6)))"""
    )


def count(db, files, refused):
    """Returns the counts of each file, and whether the file is rejected as a whole."""
    db.execute("CREATE TABLE file AS SELECT unnest(range($1::INT))::INT AS file", [files])
    db.execute(
        """
        CREATE TABLE tally AS
        WITH l AS (SELECT file, count(*) AS lines, count(*) FILTER (kind = 'skipped') AS skipped FROM classified GROUP BY file),
        r AS (SELECT file, count(*) FILTER (code IN (4, 5, 6)) AS rows, count(*) FILTER (code NOT IN (4, 5, 6)) AS ignored
            FROM row GROUP BY file)
        SELECT file, coalesce(lines, 0) AS lines, coalesce(rows, 0) AS rows, coalesce(ignored, 0) AS ignored,
            coalesce(skipped, 0) AS skipped,
            coalesce(lines, 0) - coalesce(skipped, 0) - coalesce(rows, 0) - coalesce(ignored, 0) AS rejects
        FROM file LEFT JOIN l USING (file) LEFT JOIN r USING (file)"""
    )
    result = db.execute(
        """
        SELECT lines, rows, ignored, skipped, rejects, rejects * 100 > lines * 10 OR rows + ignored = 0 AS rejected
        FROM tally ORDER BY file"""
    )
    names = [column[0] for column in result.description]
    counts = [dict(zip(names, values)) for values in result.fetchall()]
    for file in refused:
        counts[file]["rejected"] = True
    return counts


def summarize(db, accepted):
    result = db.execute(
        """
        SELECT store_id, item_id, CAST(trans_date AS VARCHAR) AS trans_date,
            CAST(sum(amount) FILTER (code = 4) AS VARCHAR) AS sale_amount,
            CAST(sum(amount) FILTER (code = 5) AS VARCHAR) AS tax_amount,
            CAST(sum(amount) FILTER (code = 6) AS VARCHAR) AS discount_amount
        FROM row WHERE code IN (4, 5, 6) AND list_contains($1::INT[], file)
        GROUP BY ALL ORDER BY store_id, item_id, trans_date""",
        [accepted],
    )
    names = [column[0] for column in result.description]
    return [dict(zip(names, values)) for values in result.fetchall()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoding", default="utf-8", help="the encoding of files without a byte order mark")
    encoding = parser.parse_args().encoding
    paths = [os.fsdecode(path) for path in sys.stdin.buffer.read().split(b"\0")[:-1]]

    db = duckdb.connect()
    read(db, paths, encoding)
    layouts, refused = classify(db)
    convert(db, layouts)
    counts = count(db, len(paths), refused)
    accepted = [file for file, tally in enumerate(counts) if not tally["rejected"]]
    json.dump({"summary": summarize(db, accepted), "counts": counts}, sys.stdout)


main()
