"""The lines of a generated feed in the formats that stores write, for the scenario `formats`, and the settings that read them.

Each format is written once, file by file, from the plain feed, and kept beside it. It holds the same sales, so all formats have the
same summary.
"""

import gzip
import json
import shutil
import struct
import subprocess
import zipfile

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
    "zip": COLUMNS + CODES,
    "dbf": 'format = "dbf"\nfields = { store_id = "store", item_id = "item", trans_date = "day" }\n' + CODES,
    "xlsx": 'format = "xlsx"\n' + CODES,
    "parquet": 'format = "parquet"\n' + CODES,
}
# Who reads the same besides us, if not all peers do.
READERS = {"zip": (), "dbf": (), "xlsx": ()}


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


def write_dbf(lines, target):
    """A dBASE III table."""
    names = (("STORE", "C", 12, 0), ("AMOUNT", "N", 14, 2), ("CODE", "N", 4, 0), ("ITEM", "C", 16, 0), ("DAY", "D", 8, 0))
    body = bytearray()
    count = 0
    for store, amount, code, item, date in lines:
        record = f" {store:12}{amount:>14}{code:>4}{item:16}{date.replace('-', '')}"
        body += record.encode()
        count += 1
    size = 1 + sum(length for _, _, length, _ in names)
    target.write(struct.pack("<B3BIHH20x", 3, 126, 3, 1, count, 32 + 32 * len(names) + 1, size))
    for name, kind, length, places in names:
        target.write(struct.pack("<11sc4xBB14x", name.encode(), kind.encode(), length, places))
    target.write(b"\r" + body + b"\x1a")


def write_xlsx(lines, path):
    """A workbook with one sheet, whose texts stand in their cells."""
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    text = lambda value: f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as workbook:
        workbook.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        )
        workbook.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        workbook.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets><sheet name="Sales" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        workbook.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relation}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        with workbook.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'<worksheet xmlns="{main}"><sheetData><row>'.encode())
            sheet.write("".join(map(text, ("store_id", "amount", "code", "item_id", "trans_date"))).encode() + b"</row>")
            for store, amount, code, item, date in lines:
                row = f"<row>{text(store)}<c><v>{amount}</v></c><c><v>{code}</v></c>{text(item)}{text(date)}</row>"
                sheet.write(row.encode())
            sheet.write(b"</sheetData></worksheet>")


def write_parquet(python, plain, path):
    """As DuckDB writes it, with typed columns."""
    script = (
        "import duckdb, sys; plain, path = sys.argv[1:]; duckdb.sql(f\"COPY (SELECT column0 AS store_id, CAST(column1 AS DECIMAL(18, 2)) "
        "AS amount, CAST(column2 AS INTEGER) AS code, column3 AS item_id, CAST(column4 AS DATE) AS trans_date FROM read_csv('{plain}', "
        "delim = '\\t', header = false, quote = '', all_varchar = true)) TO '{path}' (FORMAT parquet)\")"
    )
    subprocess.run([python, "-c", script, plain, path], check=True)


WRITERS = {"fixed": fixed, "json": as_json, "wide": wide, "newlines": with_note, "comma": comma}


def write(name, plain, folder, python):
    """Writes a plain file in a format. `python` has DuckDB."""
    if name == "zip":
        with zipfile.ZipFile(folder / f"{plain.stem}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target:
            target.write(plain, f"{plain.stem}.csv")
        return
    if name == "dbf":
        with open(folder / f"{plain.stem}.dbf", "wb") as target:
            write_dbf(records(plain), target)
        return
    if name == "xlsx":
        return write_xlsx(records(plain), folder / f"{plain.stem}.xlsx")
    if name == "parquet":
        return write_parquet(python, plain, folder / f"{plain.stem}.parquet")
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


def folder(feed, name, python):
    """The folder with a feed in a format; written if an earlier run has not left it. Returns it with its size in bytes."""
    place = feed.folder.parent / f"as-{name}"
    if not place.exists():
        say(f"writing {feed} as {name}")
        part = place.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for plain in sorted(feed.folder.iterdir()):
            write(name, plain, part, python)
        part.rename(place)
    return place, sum(make_old(path) for path in place.iterdir())


def settings(place, name, path):
    """Writes the settings file for a folder in a format."""
    path.write_text(SETTINGS.format(folder=place, feed=FEEDS[name]))
    return path
