"""The job in chDB, which is ClickHouse as a library: `with_chdb.py FOLDER OUT.parquet`."""

import sys

import chdb

folder, out = sys.argv[1:]
chdb.query(
    f"""
    INSERT INTO FUNCTION file('{out}', 'Parquet')
    SELECT store_id, item_id, trans_date,
        CAST(sumOrNullIf(amount, code = 4) AS Nullable(Decimal(18, 2))) AS sale_amount,
        CAST(sumOrNullIf(amount, code = 5) AS Nullable(Decimal(18, 2))) AS tax_amount,
        CAST(sumOrNullIf(amount, code = 6) AS Nullable(Decimal(18, 2))) AS discount_amount
    FROM file('{folder}/*.tdf', 'TSV', 'store_id String, amount Decimal(18, 2), code Int32, item_id String,
        trans_date Date32, extra_1 String, extra_2 String, extra_3 String')
    WHERE code IN (4, 5, 6)
    GROUP BY store_id, item_id, trans_date
    ORDER BY store_id, item_id, trans_date"""
)
