"""That each format holds the lines of the plain feed, and that there are settings for it."""

import gzip
import json
import tempfile
import tomllib
import unittest
import zipfile
from pathlib import Path

from harness import formats


class Formats(unittest.TestCase):
    def test_each_format_has_the_same_sales_and_settings_that_parse(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            plain = folder / "S1.tdf"
            plain.write_text("S1\t5.00\t4\tI1\t2026-03-01\ta\tb\tc\nS1\t-0.50\t6\tI2\t2026-03-02\ta\tb\tc\n")
            # These two take programs that only the bench itself needs; its smoke run writes and verifies them.
            for format in formats.FEEDS.keys() - {"zst", "parquet"}:
                out = folder / format
                out.mkdir()
                formats.write(format, plain, out, None)
                (file,) = out.iterdir()
                self.assertIn(b"I2", unpacked(format, file), format)
                feed = tomllib.loads(formats.settings(out, format, folder / "settings.toml").read_text())["feed"]
                self.assertEqual(feed[0]["files"], "**")
            self.assertEqual(json.loads((folder / "json" / "S1.jsonl").read_text().splitlines()[1])["amount"], -0.5)
            self.assertEqual((folder / "fixed" / "S1.csv").read_text().splitlines()[0], "S1          5.00          4   I1              2026-03-01")
            self.assertEqual((folder / "wide" / "S1.csv").read_text().splitlines()[2], "S1,I2,2026-03-02,,,-0.50")


def unpacked(format, file):
    if format == "gz":
        return gzip.decompress(file.read_bytes())
    if format in ("zip", "xlsx"):
        with zipfile.ZipFile(file) as archive:
            return archive.read(archive.namelist()[-1])
    return file.read_bytes()


if __name__ == "__main__":
    unittest.main()
