"""The sources and histories of the scenarios `provinces`, `idle` and `history`."""

import sqlite3
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from harness import history, provinces
from harness.service import Installation
from harness.workspace import ROOT


class Provinces(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_each_province_has_its_stores_and_a_job(self):
        provinces.write(self.folder, 2, 3)
        names = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(names[:4], ["P0000-0000.tdf", "P0000-0001.tdf", "P0000-0002.tdf", "P0001-0000.tdf"])
        self.assertEqual(len((self.folder / names[0]).read_text().splitlines()), provinces.LINES)
        jobs = provinces.jobs(2, 3)
        self.assertIn('files = "P0001-{store}.tdf"\nmin_files = 3', jobs[1])

    def test_an_installation_has_the_jobs_it_is_given(self):
        def folder(name):
            (self.folder / name).mkdir()
            return self.folder / name

        workspace = SimpleNamespace(gristmill="gristmill", folder=folder)
        one = Installation(workspace, "source", 7).settings.read_text()
        self.assertIn('id = "bench"', one)
        self.assertIn('files = "*-{store}.tdf"\nmin_files = 7', one)
        two = Installation(workspace, "source", 0, jobs=provinces.jobs(2, 3)).settings.read_text()
        self.assertEqual(two.count("[[job]]"), 2)

    def test_a_history_fits_the_state_database(self):
        path = self.folder / "state.db"
        database = sqlite3.connect(path)
        for migration in sorted((ROOT / "state" / "migrations" / "sqlite").glob("*.sql")):
            database.executescript(migration.read_text())
        database.executescript(
            """
            INSERT INTO ingested_file_status (file_id, file_url, feed, last_update_status, last_update_timestamp, submitted_timestamp)
            VALUES (1, 'S0-1.tdf', 'sales', 'SUBMITTED', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z');
            INSERT INTO file_version (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects,
                   drift_lines, accepted, created_timestamp)
            VALUES (1, 1, 'h', 'layout', 1, 1, 1, 0, 0, 0, 0, 1, '2026-01-01T00:00:00.000000Z');
            INSERT INTO submission (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes, stamp_modified_ns,
                   stamp_inode) VALUES (1, 1, 1, 'VALIDATED', '2026-01-01T00:00:00.000000Z', 1, 1, 1);
            """
        )
        database.close()
        files = history.fill(path, 2, history.days(3))
        self.assertEqual(files, 2 * 3 * history.STORES)
        database = sqlite3.connect(path)
        count = lambda sql: database.execute(sql).fetchone()[0]
        self.assertEqual(count("SELECT count(*) FROM files WHERE status = 'VALIDATED'"), files)
        self.assertEqual(count("SELECT count(*) FROM runs WHERE files = 50 AND outcome = 'LOADED'"), 6)
        self.assertEqual(count("SELECT count(DISTINCT layout_digest) FROM file_version"), 1)
        self.assertEqual(count("SELECT count(*) FROM pragma_foreign_key_check WHERE \"table\" <> 'job_run'"), 0)
        database.close()


if __name__ == "__main__":
    unittest.main()
