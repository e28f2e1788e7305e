"""Writes the same point-of-sale lines in many dialects, each as the file of a store of its own.

It shares nothing with gristmill: amounts are decimals, files are written by Python's csv, gzip, bz2, lzma and codecs, by
zstd, and tables by openpyxl, xlwt, odfpy, dbf, DuckDB and Polars. Takes the folder to write to, the number of lines, and which
of them is bad; prints the counts of each file, and the right rows without the store, as JSON.
"""

import bz2
import csv
import datetime
import decimal
import gzip
import io
import json
import lzma
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zipfile

import dbf
import duckdb
import odf.opendocument
import odf.table
import odf.text
import openpyxl
import openpyxl.utils.datetime
import polars
import xlwt

folder = pathlib.Path(sys.argv[1])
LINES, BAD_EVERY = int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(20160601)
ITEMS = ["COLA", "CRÊPE", '6" SUB', "A,B;C", "007"]
DAYS = [datetime.date(2016, 6, 1) + datetime.timedelta(days=n) for n in range(3)]
WORDS = {4: "SALE", 5: "TAX", 6: "DISC", 13: "TIP"}

lines = []
for number in range(LINES):
    cents = rng.choice([rng.randint(-99_99, 99_99), rng.randint(1000_00, 9_999_999_99)])
    is_bad = number % BAD_EVERY == 7
    lines.append((rng.choice(ITEMS), None if is_bad else cents, rng.choice([4, 4, 4, 5, 6, 13]), rng.choice(DAYS)))


def plain(cents):
    return "x1" if cents is None else str(decimal.Decimal(cents).scaleb(-2))


def grouped(cents, thousands, point):
    if cents is None:
        return "x1"
    return f"{decimal.Decimal(cents).scaleb(-2):,.2f}".replace(",", "t").replace(".", point).replace("t", thousands)


def dollars(cents):
    if cents is None:
        return "$x1"
    text = "$" + grouped(abs(cents), ",", ".")
    return f"({text})" if cents < 0 else text


def overpunched(cents, width):
    if cents is None:
        return "x1".rjust(width)
    digits = str(abs(cents)).rjust(width, "0")
    return digits[:-1] + ("}JKLMNOPQR" if cents < 0 else "{ABCDEFGHI")[int(digits[-1])]


def moment(day):
    minutes = 4 * 60 + rng.randrange(24 * 60)
    return datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(minutes=minutes)


def business_time(day):
    time = moment(day)
    return time.strftime("%m/%d/%Y %I:%M %p").lstrip("0")


def tabs(store, **how):
    amount = how.get("amount", plain)
    date = how.get("date", str)
    return "".join(f"{store}\t{amount(c)}\t{k}\t{i}\t{date(d)}\n" for i, c, k, d in lines)


def written(rows, **how):
    text = io.StringIO(newline="")
    csv.writer(text, **how).writerows(rows)
    return text.getvalue()


def fixed(store, end):
    return "".join(f"{store:<8}{i:<12}{d:%Y%m%d}{k:>2}{overpunched(c, 11)}{end}" for i, c, k, d in lines)


def kinds(store):
    text = f"H|{store}|x\r\n" + "".join(f"D|{i}|{k}|{plain(c)}|{d}\r\n" for i, c, k, d in lines)
    return text + f"T|{len(lines)}|{plain(sum(c for _, c, _, _ in lines if c is not None))}\r\n"


def zstd(text):
    return subprocess.run(["zstd", "-q", "-c"], input=text, stdout=subprocess.PIPE, check=True).stdout


def zipped(name, text):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("till/" + name, text)
        archive.writestr("__MACOSX/._" + name, "x")
    return content.getvalue()


def header(store):
    rows = [["sep=;"], ["Sales of the day"], ["Item #", "Business  Date", "Trx", "Filiale", "Net Amount"]]
    rows += [[i, d, k, store, plain(c)] for i, c, k, d in lines]
    return written(rows, delimiter=";")


def as_json():
    return [{"sku": i, "kind": k, "value": "x1" if c is None else c / 100, "day": str(d)} for i, c, k, d in lines]


# Tables: cells have types. Where one cannot hold a bad amount, the bad line lacks its item.


def number(cents):
    return None if cents is None else cents / 100


def whole_item(item, cents):
    return item if cents is not None else ""


def xlsx(store, is_1904):
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    sheet = book.create_sheet("Sales")
    if is_1904:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    sheet.append(["Sales of the day"])
    sheet.merge_cells("A1:E1")
    sheet.append([])
    sheet.append(["Item", "Day", "Code", "Store", "Amount"])
    for item, cents, code, day in lines:
        sheet.append([item, day, code, store, "#N/A" if cents is None else number(cents)])
        sheet.append([])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def xls(store):
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sales")
    day_style = xlwt.easyxf(num_format_str="DD/MM/YYYY HH:MM")
    for column, name in enumerate(["Store", "Item", "Code", "Amount", "Day"]):
        sheet.write(0, column, name)
    for row, (item, cents, code, day) in enumerate(lines, 1):
        for column, value in enumerate([store, item, code, number(cents)]):
            if value is None:
                sheet.row(row).set_cell_error(column, "#N/A!")
            else:
                sheet.write(row, column, value)
        # A date of Excel at midnight has no time of day.
        sheet.write(row, 4, moment(day).replace(minute=30), day_style)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def ods(store):
    document = odf.opendocument.OpenDocumentSpreadsheet()
    table = odf.table.Table(name="Sales")

    def row(cells):
        row = odf.table.TableRow()
        for value in cells:
            if isinstance(value, datetime.date):
                cell = odf.table.TableCell(valuetype="date", datevalue=str(value))
            elif isinstance(value, str):
                cell = odf.table.TableCell(valuetype="string")
                cell.addElement(odf.text.P(text=value))
            else:
                cell = odf.table.TableCell(valuetype="float", value=str(value))
            row.addElement(cell)
        table.addElement(row)

    row(["Store", "Item", "Code", "Amount", "Day"])
    for item, cents, code, day in lines:
        row([store, item, code, plain(cents) if cents is None else number(cents), day])
    document.spreadsheet.addElement(table)
    content = io.BytesIO()
    document.write(content)
    return content.getvalue()


def table_of_dbase(store, kind, page, columns, row):
    with tempfile.TemporaryDirectory() as place:
        table = dbf.Table(f"{place}/t.dbf", columns, codepage=page, dbf_type=kind)
        with table.open(dbf.READ_WRITE):
            for line in lines:
                table.append(row(store, *line))
            table.append(row(store, "DELETED", 1, 4, DAYS[0]))
        content = bytearray(pathlib.Path(f"{place}/t.dbf").read_bytes())
    length, width = struct.unpack_from("<HH", content, 8)
    # The library does not count the last record of some kinds of tables.
    count = (len(content) - length) // width
    struct.pack_into("<I", content, 4, count)
    content[length + (count - 1) * width] = ord("*")
    return bytes(content)


def dbase(store):
    columns = "store N(4,0); item C(12); code N(2,0); amount N(14,2); day D"
    row = lambda store, i, c, k, d: (store, whole_item(i, c), k, number(c or 0), d)
    return table_of_dbase(store, "db3", "cp850", columns, row)


def foxpro(store):
    columns = "item C(12); day T; amount Y; code I; store I"
    row = lambda store, i, c, k, d: (whole_item(i, c), moment(d), decimal.Decimal(c or 0).scaleb(-2), k, store)
    return table_of_dbase(store, "vfp", "cp1252", columns, row)


def parquet_of_duckdb(store):
    base = duckdb.connect()
    base.execute("CREATE TABLE t (store INTEGER, amount DECIMAL(18, 4), code SMALLINT, item VARCHAR, day DATE, notes VARCHAR[])")
    rows = [(store, decimal.Decimal(c or 0).scaleb(-2), k, i if c is not None else None, d, ["x"]) for i, c, k, d in lines]
    base.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows)
    with tempfile.TemporaryDirectory() as place:
        base.execute(f"COPY t TO '{place}/t' (FORMAT parquet)")
        return pathlib.Path(f"{place}/t").read_bytes()


def parquet_of_polars(store):
    frame = polars.DataFrame(
        {
            "day": [moment(d) for _, _, _, d in lines],
            "amount": [float("nan") if c is None else number(c) for _, c, _, _ in lines],
            "code": [k for _, _, k, _ in lines],
            "item": polars.Series([i for i, _, _, _ in lines], dtype=polars.Categorical),
            "store": [str(store)] * len(lines),
        }
    )
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd", row_group_size=100)
    return content.getvalue()


half = len(tabs(12).encode()) // 2
FILES = {
    "1-plain": tabs(1).encode(),
    "2-quebec": written(
        [[2, grouped(c, "", ","), WORDS[k], i, f"{d:%d/%m/%Y}"] for i, c, k, d in lines], delimiter=";"
    ).encode("cp1252"),
    "3-german": written([[3, grouped(c, ".", ","), k, i, d] for i, c, k, d in lines]).encode(),
    "4-dollars": tabs(4, amount=dollars, date=lambda d: f"{d.month}/{d.day}/{d:%y}").encode(),
    "5-tildes": "".join(f"5~|~{plain(c)}~|~{k}~|~{i}~|~{d}\n" for i, c, k, d in lines).encode(),
    "6-notes": written([[6, plain(c), k, i, d, f'call\n"{k}"\n\n,'] for i, c, k, d in lines]).encode(),
    "7-escape": written(
        [[7, plain(c), k, i, d] for i, c, k, d in lines], quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\"
    ).encode(),
    "8-header": header(8).encode(),
    "9-ebcdic": fixed(9, "").encode("cp037"),
    "10-lines": fixed(10, "\r\n").encode(),
    "11-kinds": kinds(11).encode(),
    "12-gzip": gzip.compress(tabs(12).encode()[:half]) + gzip.compress(tabs(12).encode()[half:]),
    "13-bzip2": bz2.compress(tabs(13).encode()),
    "14-xz": lzma.compress(tabs(14).encode()),
    "15-zstd": zstd(tabs(15).encode()),
    "16-wide": tabs(16).encode("utf-16"),
    "17-scale": tabs(17, amount=lambda c: "x1" if c is None else f"{c:011d}").encode(),
    "18-late": tabs(18, date=business_time).encode(),
    "19-packed": gzip.compress(fixed(19, "").encode("cp037")),
}
FILES["20-json"] = "\n".join(json.dumps({"shop": "20", "rows": [row]}) for row in as_json()).encode()
FILES["21-json"] = json.dumps([{"shop": 21, "rows": as_json()}], ensure_ascii=False, indent=1).encode()
FILES["22-dbase"] = dbase(22)
FILES["23-xlsx"] = xlsx(23, False)
FILES["24-xls"] = xls(24)
FILES["25-ods"] = ods(25)
FILES["26-duckdb"] = parquet_of_duckdb(26)
FILES["27-polars"] = parquet_of_polars(27)
FILES["28-foxpro"] = foxpro(28)
FILES["29-xlsx"] = xlsx(29, True)
FILES["30-shut"] = gzip.compress(dbase(30))
FILES["31-zip"] = zipped("31-zip.dat", tabs(31))
for name, content in FILES.items():
    (folder / f"{name}.dat").write_bytes(content)

sums = {}
for item, cents, code, day in lines:
    if cents is not None and code != 13:
        amounts = sums.setdefault((item, str(day)), {})
        amounts[code] = amounts.get(code, 0) + cents
good = [code for _, cents, code, _ in lines if cents is not None]
json.dump(
    {
        "files": sorted(FILES),
        "rows": sum(code != 13 for code in good),
        "ignored": good.count(13),
        "rejects": len(lines) - len(good),
        "summary": [
            [item, day] + [plain(amounts[code]) if code in amounts else "-" for code in (4, 5, 6)]
            for (item, day), amounts in sorted(sums.items())
        ],
    },
    sys.stdout,
)
