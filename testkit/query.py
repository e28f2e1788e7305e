"""Answers SQL with DuckDB, for src/duckdb.rs.

Reads a JSON list of statements from standard input; writes a JSON list of their answers, each a list of rows, each a list
of cells as text or null.
"""

import json
import sys

import duckdb

db = duckdb.connect()
answers = []
for statement in json.load(sys.stdin):
    rows = db.execute(statement).fetchall()
    answers.append([[None if cell is None else str(cell) for cell in row] for row in rows])
json.dump(answers, sys.stdout)
