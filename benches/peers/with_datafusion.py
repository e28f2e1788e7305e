"""The job in DataFusion: `with_datafusion.py FOLDER OUT.parquet`."""

import sys

import pyarrow
from datafusion import SessionContext

folder, out = sys.argv[1:]
context = SessionContext()
context.register_csv(
    "lines",
    folder,
    schema=pyarrow.schema(
        [
            ("store_id", pyarrow.string_view()),
            ("amount", pyarrow.decimal128(18, 2)),
            ("code", pyarrow.int32()),
            ("item_id", pyarrow.string_view()),
            ("trans_date", pyarrow.date32()),
            ("extra_1", pyarrow.string_view()),
            ("extra_2", pyarrow.string_view()),
            ("extra_3", pyarrow.string_view()),
        ]
    ),
    has_header=False,
    delimiter="\t",
    file_extension=".tdf",
)
context.sql(
    f"""
    COPY (
        SELECT store_id, item_id, trans_date,
            CAST(sum(amount) FILTER (WHERE code = 4) AS DECIMAL(18, 2)) AS sale_amount,
            CAST(sum(amount) FILTER (WHERE code = 5) AS DECIMAL(18, 2)) AS tax_amount,
            CAST(sum(amount) FILTER (WHERE code = 6) AS DECIMAL(18, 2)) AS discount_amount
        FROM lines
        WHERE code IN (4, 5, 6)
        GROUP BY store_id, item_id, trans_date
        ORDER BY store_id, item_id, trans_date
    ) TO '{out}' STORED AS PARQUET"""
).collect()
