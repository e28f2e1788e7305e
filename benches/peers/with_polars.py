"""The job in Polars, with its streaming engine from the files to the Parquet: `with_polars.py FOLDER OUT.parquet`.
The folder may be an object storage URL.

Amounts are read as floats, which Polars does faster than decimals, and rounded to whole cents before anything is added: that
is exact for amounts of two places. In Polars the sum of no values is 0, so each sum has a count beside it to distinguish no
values from a sum of zero.
"""

import os
import sys

import polars as pl

MEASURES = {"sale_amount": 4, "tax_amount": 5, "discount_amount": 6}
KEYS = ["store_id", "item_id", "trans_date"]

folder, out = sys.argv[1:]
options = {}
if folder.startswith("s3://"):
    names = ["access_key_id", "secret_access_key", "region", "endpoint_url", "allow_http"]
    options["storage_options"] = {f"aws_{name}": os.environ[f"AWS_{name.upper()}"] for name in names}
lines = pl.scan_csv(
    f"{folder}/*.tdf",
    **options,
    separator="\t",
    has_header=False,
    quote_char=None,
    schema={
        "store_id": pl.String,
        "amount": pl.Float64,
        "code": pl.Int32,
        "item_id": pl.String,
        "trans_date": pl.Date,
        "extra_1": pl.String,
        "extra_2": pl.String,
        "extra_3": pl.String,
    },
)
cents = pl.col("amount").mul(100).round().cast(pl.Int64)
amounts = [pl.when(pl.col("code") == code).then("cents").alias(name) for name, code in MEASURES.items()]
sums = [pl.col(name).sum() for name in MEASURES]
counts = [pl.col(name).count().alias(f"{name}_lines") for name in MEASURES]
decimals = [
    pl.when(pl.col(f"{name}_lines") > 0).then((pl.col(name).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2))).alias(name)
    for name in MEASURES
]
(
    lines.filter(pl.col("code").is_in([4, 5, 6]))
    .with_columns(cents=cents)
    .select(*KEYS, *amounts)
    .group_by(KEYS)
    .agg(*sums, *counts)
    .select(*KEYS, *decimals)
    .sort(KEYS)
    .sink_parquet(out, engine="streaming")
)
