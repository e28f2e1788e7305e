"""Loads a summary into Postgres with ADBC: `with_adbc.py URL SUMMARY.parquet SQL`.

The driver's binary COPY ingests the summary into a temporary table `stage`; then SQL merges that into the target, in the same
transaction.
"""

import sys

import adbc_driver_postgresql.dbapi as adbc
import pyarrow
import pyarrow.parquet as parquet

url, summary, sql = sys.argv[1:]
with adbc.connect(url) as warehouse, warehouse.cursor() as cursor:
    with parquet.ParquetFile(summary) as file:
        batches = file.iter_batches(256 << 10)
        reader = pyarrow.RecordBatchReader.from_batches(file.schema_arrow, batches)
        cursor.adbc_ingest("stage", reader, mode="create", temporary=True)
    for statement in sql.split(";"):
        cursor.execute(statement)
    warehouse.commit()
