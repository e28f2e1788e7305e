"""The job in DuckDB: `with_duckdb.py FOLDER OUT.parquet`; the folder may be an object storage URL.

For the fastest reading, all columns are declared, so that nothing is sniffed; quoting is off, because the files have none; and
the order of the input need not be kept.
"""

import os
import sys

import duckdb

folder, out = sys.argv[1:]
db = duckdb.connect()
if folder.startswith("s3://"):
    import duckdb_extensions

    duckdb_extensions.import_extension("httpfs")
    db.execute("LOAD httpfs")
    env = os.environ
    db.execute(
        f"""CREATE SECRET (TYPE s3, KEY_ID '{env["AWS_ACCESS_KEY_ID"]}', SECRET '{env["AWS_SECRET_ACCESS_KEY"]}',
            REGION '{env["AWS_REGION"]}', ENDPOINT '{env["AWS_ENDPOINT_URL"].removeprefix("http://")}',
            URL_STYLE 'path', USE_SSL false)"""
    )
db.execute("SET preserve_insertion_order = false")
db.execute(
    f"""
    COPY (
        SELECT store_id, item_id, trans_date,
            CAST(sum(amount) FILTER (code = 4) AS DECIMAL(18, 2)) AS sale_amount,
            CAST(sum(amount) FILTER (code = 5) AS DECIMAL(18, 2)) AS tax_amount,
            CAST(sum(amount) FILTER (code = 6) AS DECIMAL(18, 2)) AS discount_amount
        FROM read_csv('{folder}/*.tdf', delim = '\t', header = false, quote = '', escape = '', auto_detect = false,
            columns = {{store_id: 'VARCHAR', amount: 'DECIMAL(18, 2)', code: 'INTEGER', item_id: 'VARCHAR',
                trans_date: 'DATE', extra_1: 'VARCHAR', extra_2: 'VARCHAR', extra_3: 'VARCHAR'}})
        WHERE code IN (4, 5, 6)
        GROUP BY ALL ORDER BY store_id, item_id, trans_date
    ) TO '{out}' (FORMAT parquet)"""
)
