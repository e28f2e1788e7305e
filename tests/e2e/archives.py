"""Writes archives as Python's zipfile and tarfile write them, and some that no honest program writes.

Takes the kind and the file to write, and members as NAME=TEXT; `\n` and `\t` in a text are a line end and a tab.
"""

import io
import os
import struct
import sys
import tarfile
import zipfile

kind, path, *given = sys.argv[1:]
if given and given[0].startswith("@"):
    # So many members of one line each: @COUNT.
    members = [(f"IL-{n}.tdf", f"{n}\t1.00\t4\tCOLA\t2016-06-01\n") for n in range(1, int(given[0][1:]) + 1)]
else:
    members = [member.replace("\\n", "\n").replace("\\t", "\t").split("=", 1) for member in given]


class Pipe(io.RawIOBase):
    """What cannot be sought: zipfile then writes the sizes behind each member."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def zipped(target, packing, force_zip64=False):
    with zipfile.ZipFile(target, "w", packing) as archive:
        for name, text in members:
            if name.endswith("/"):
                archive.writestr(name, "")
                continue
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=force_zip64) as member:
                member.write(text.encode())


def tarred(mode, form=tarfile.PAX_FORMAT):
    with tarfile.open(temporary, mode, format=form) as archive:
        for name, text in members:
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


temporary = f"{path}.tmp"
match kind:
    case "zip":
        zipped(temporary, zipfile.ZIP_DEFLATED)
    case "stored":
        zipped(temporary, zipfile.ZIP_STORED)
    case "zip64":
        zipped(temporary, zipfile.ZIP_DEFLATED, True)
    case "streamed":
        with open(temporary, "wb") as file:
            zipped(Pipe(file), zipfile.ZIP_DEFLATED)
    case "encrypted":
        zipped(temporary, zipfile.ZIP_DEFLATED)
        data = bytearray(open(temporary, "rb").read())
        for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            found = data.find(signature)
            flags = struct.unpack_from("<H", data, found + at)[0]
            struct.pack_into("<H", data, found + at, flags | 1)
        open(temporary, "wb").write(data)
    case "tar":
        tarred("w")
    case "gnu":
        tarred("w", tarfile.GNU_FORMAT)
    case _:
        tarred(f"w:{kind}")
os.rename(temporary, path)
