"""Runs SQL with another reader of Parquet, for src/readers.rs.

The argument names the reader: `duckdb` or `polars`. Reads a JSON list of statements from standard input. Writes a JSON list
of their answers: each is a list of rows, and each row a list of cells as text or null.
"""

import json
import sys


def connect(reader):
    """Returns a function that answers a statement with a list of rows."""
    if reader == "duckdb":
        import duckdb

        db = duckdb.connect()
        return lambda statement: db.execute(statement).fetchall()
    import polars

    return lambda statement: polars.sql(statement, eager=True).rows()


answer = connect(sys.argv[1])
answers = []
for statement in json.load(sys.stdin):
    rows = answer(statement)
    answers.append([[None if cell is None else str(cell) for cell in row] for row in rows])
json.dump(answers, sys.stdout)
