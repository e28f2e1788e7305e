"""The lines of a generated feed in the formats that stores write, for the scenario `formats`, and the settings that read them.

Each format is written once, file by file, from the plain feed, and kept beside it. It holds the same sales, so all formats have the
same summary.
"""

import gzip
import json
import shutil
import subprocess

from .data import make_old
from .workspace import say

SETTINGS = """
source = {{ url = "{folder}" }}
lake = {{ url = "lake" }}
state = {{ url = "sqlite://state.db" }}
warehouse = {{ url = "sqlite://warehouse.db" }}
[[feed]]
name = "sales"
files = "**"
{feed}
"""

COLUMNS = 'columns = ["store_id", "amount", "code", "item_id", "trans_date"]\n'
CODES = "measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }\n"
# Widths of store, amount, code, item and date.
WIDTHS = (12, 14, 4, 16, 10)


def positions():
    """The fields of fixed positions, as the settings write them."""
    names, start, fields = ("store_id", "amount", "code", "item_id", "trans_date"), 1, []
    for name, width in zip(names, WIDTHS):
        fields.append(f"{name} = {{ start = {start}, length = {width} }}")
        start += width
    return ", ".join(fields)


FEEDS = {
    "plain": COLUMNS + CODES,
    "gz": COLUMNS + CODES,
    "zst": COLUMNS + CODES,
    "fixed": f'format = "fixed"\nfields = {{ {positions()} }}\n' + CODES,
    "json": 'format = "json"\n' + CODES,
    "wide": 'delimiter = ","\nfields = { store_id = ["Store"], item_id = ["Item"], trans_date = ["Date"] }\n'
    'measures = { sale_amount = { field = "Sales" }, tax_amount = { field = "Tax" }, discount_amount = { field = "Discount" } }\n',
    "newlines": 'delimiter = ","\nquoted_newlines = true\n' + COLUMNS + CODES,
    "comma": 'delimiter = ";"\nvalues = { decimal = "," }\n' + COLUMNS + CODES,
}


def records(path):
    """The five fields of each line of a plain file."""
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield line.rstrip("\n").split("\t")[:5]


def fixed(fields):
    return "".join(field.ljust(width) for field, width in zip(fields, WIDTHS)) + "\n"


def as_json(fields):
    store, amount, code, item, date = fields
    return json.dumps({"store_id": store, "amount": float(amount), "code": int(code), "item_id": item, "trans_date": date}) + "\n"


def wide(fields):
    store, amount, code, item, date = fields
    amounts = ",".join(amount if code == of else "" for of in ("4", "5", "6"))
    return f"{store},{item},{date},{amounts}\n"


def with_note(fields):
    return ",".join(fields) + ',"call\nback, ""noon"""\n'


def comma(fields):
    store, amount, *rest = fields
    return ";".join([store, amount.replace(".", ","), *rest]) + "\n"


WRITERS = {"fixed": fixed, "json": as_json, "wide": wide, "newlines": with_note, "comma": comma}


def write(name, plain, folder):
    """Writes a plain file in a format."""
    if name == "gz":
        with open(plain, "rb") as source, gzip.open(folder / f"{plain.stem}.csv.gz", "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        return
    if name == "zst":
        subprocess.run(["zstd", "-q", "-f", "-3", plain, "-o", folder / f"{plain.stem}.csv.zst"], check=True)
        return
    if name == "plain":
        shutil.copyfile(plain, folder / f"{plain.stem}.csv")
        return
    writer = WRITERS[name]
    with open(folder / f"{plain.stem}.{'jsonl' if name == 'json' else 'csv'}", "w", encoding="utf-8", newline="\n") as target:
        if name == "wide":
            target.write("Store,Item,Date,Sales,Tax,Discount\n")
        target.writelines(map(writer, records(plain)))


def folder(feed, name):
    """The folder with a feed in a format; written if an earlier run has not left it. Returns it with its size in bytes."""
    place = feed.folder.parent / f"as-{name}"
    if not place.exists():
        say(f"writing {feed} as {name}")
        part = place.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for plain in sorted(feed.folder.iterdir()):
            write(name, plain, part)
        part.rename(place)
    return place, sum(make_old(path) for path in place.iterdir())


def settings(place, name, path):
    """Writes the settings file for a folder in a format."""
    path.write_text(SETTINGS.format(folder=place, feed=FEEDS[name]))
    return path
