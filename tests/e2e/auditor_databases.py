"""How the auditor reads databases: SQLite by Python's own library, Postgres and MariaDB by the clients that come with them.

What a database answers is a list of tuples. Numbers with places are Decimal, days are text.
"""

import decimal
import json
import sqlite3
import subprocess
import urllib.parse


class Unreachable(Exception):
    """The server did not answer, or refused the statement."""


class Sqlite:
    """A file."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path)

    def ask(self, columns, rest):
        return self.connection.execute(f"SELECT {columns} {rest}").fetchall()

    def damage(self):
        """What is wrong with the database itself."""
        sound = self.connection.execute("PRAGMA integrity_check").fetchall()
        return [row for row in sound if row != ("ok",)] + self.connection.execute("PRAGMA foreign_key_check").fetchall()

    def close(self):
        self.connection.close()


class Server:
    """What the clients of servers have in common: one process for each question, and JSON as the answer."""

    def ask(self, columns, rest):
        lines = self.run(f"SELECT {self.ARRAY}({columns}) {rest}").splitlines()
        return [tuple(json.loads(line, parse_float=decimal.Decimal)) for line in lines]

    def ask_all(self, questions):
        """The answers to several questions, columns and the rest by name, as of one moment."""
        asked = [f"SELECT {self.ARRAY}('{of}', {columns}) {rest}" for of, (columns, rest) in questions.items()]
        answers = {of: [] for of in questions}
        for line in self.run(";\n".join([self.SNAPSHOT, *asked, "COMMIT"])).splitlines():
            of, *row = json.loads(line, parse_float=decimal.Decimal)
            answers[of].append(tuple(row))
        return answers

    def run(self, sql):
        """Runs statements; returns what the client prints."""
        done = subprocess.run(self.command(sql), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Unreachable(f"{sql}: {done.stderr}")
        return done.stdout

    def damage(self):
        return []

    def close(self):
        pass


class Postgres(Server):
    """A database of a Postgres server."""

    ARRAY, NOW = "json_build_array", "clock_timestamp()"
    SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ"

    def __init__(self, url):
        self.url = url

    def command(self, sql):
        return ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", sql]


class MariaDb(Server):
    """A database of a MariaDB server."""

    ARRAY, NOW = "json_array", "utc_timestamp(6)"
    SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT"

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)

    def command(self, sql):
        url = self.url
        there = [f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}", url.path.strip("/")]
        quotes = "--init-command=SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')"
        return ["mariadb", "--no-defaults", *there, quotes, "--batch", "--raw", "--skip-column-names", "--execute", sql]


def database(url):
    """The database of a URL, or the one in a file."""
    scheme = str(url).partition("://")[0]
    return {"postgres": Postgres, "mysql": MariaDb}.get(scheme, Sqlite)(url)
