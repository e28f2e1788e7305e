"""Files that claim, or unpack to, far more than they are; `traps.py FOLDER` writes them."""

import gzip
import pathlib
import struct
import sys
import zipfile

folder = pathlib.Path(sys.argv[1])
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def zstd(size):
    """Zeros as zstd: one block, told once, for each 128 KiB."""
    block = 128 << 10
    count = size // block
    header = lambda last: struct.pack("<I", block << 3 | 1 << 1 | last)[:3] + b"0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + header(0) * (count - 1) + header(1)


def zipped(name, size):
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("IL-1.tdf", "w") as member:
            for _ in range(size >> 20):
                member.write(bytes(1 << 20))


def workbook(name, sheet, strings=None):
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>')
        relations = f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        if strings:
            relations += f'<Relationship Id="r2" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
        book.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{relations}</Relationships>')
        if strings:
            with book.open("xl/sharedStrings.xml", "w") as texts:
                texts.write(f'<sst xmlns="{MAIN}">'.encode())
                for number in range(strings):
                    texts.write(f"<si><t>{number:07}{'x' * 93}</t></si>".encode())
                texts.write(b"</sst>")
        book.writestr("xl/worksheets/sheet1.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData></worksheet>')


(folder / "IL-zstd.tdf").write_bytes(zstd(100 << 30))
(folder / "IL-gzip.tdf").write_bytes(gzip.compress(bytes(300 << 20)))
zipped("IL-zip.tdf", 300 << 20)
HEADER = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in ("store_id", "amount", "code", "item_id", "trans_date"))
workbook("XL-corner.xlsx", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
workbook("XL-strings.xlsx", f"<row>{HEADER}</row>", strings=1_000_000)
(folder / "JS-deep.json").write_bytes(b"[" * 100_000 + b"]" * 100_000)
fields = b"".join(struct.pack("<11sc4xBB14x", name, b"C", 10, 0) for name in (b"STORE_ID", b"AMOUNT", b"CODE", b"ITEM_ID", b"TRANS_DATE"))
(folder / "DB-lies.dbf").write_bytes(struct.pack("<B3BIHH20x", 3, 126, 3, 1, 0xFFFFFFFF, 193, 51) + fields + b"\r")
(folder / "PQ-lies.parquet").write_bytes(b"PAR1\x15" + bytes(1000) + struct.pack("<I", 0x7FFFFFFF) + b"PAR1")
