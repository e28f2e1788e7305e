"""The job in Polars for each format, with its streaming engine: `formats_with_polars.py FORMAT FOLDER OUT.parquet`.

As in with_polars.py, amounts are read as floats and rounded to whole cents before anything is added. Fixed positions are cut out of
a line that is one column.
"""

import sys

import polars as pl

MEASURES = {"sale_amount": 4, "tax_amount": 5, "discount_amount": 6}
KEYS = ["store_id", "item_id", "trans_date"]
TYPES = {"store_id": pl.String, "amount": pl.Float64, "code": pl.Int32, "item_id": pl.String, "trans_date": pl.Date}
EXTRA = {"extra_1": pl.String, "extra_2": pl.String, "extra_3": pl.String}

format, folder, out = sys.argv[1:]


def csv(separator, schema, **how):
    how = {"has_header": False, "quote_char": None} | how
    return pl.scan_csv(f"{folder}/*", separator=separator, schema=schema, **how)


def fixed():
    line = pl.col("line").str
    return csv("\x01", {"line": pl.String}).select(
        store_id=line.slice(0, 12).str.strip_chars_end(),
        amount=line.slice(12, 14).str.strip_chars().cast(pl.Float64),
        code=line.slice(26, 4).str.strip_chars().cast(pl.Int32),
        item_id=line.slice(30, 16).str.strip_chars_end(),
        trans_date=line.slice(46, 10).str.to_date("%Y-%m-%d"),
    )


def wide():
    amounts = {name: pl.Float64 for name in MEASURES}
    names = {"store_id": pl.String, "item_id": pl.String, "trans_date": pl.Date}
    # With a header, its names would have to be those of the schema.
    return csv(",", names | amounts, skip_rows=1)


def json():
    return pl.scan_ndjson(f"{folder}/*", schema=TYPES | {"trans_date": pl.String}).with_columns(
        pl.col("trans_date").str.to_date("%Y-%m-%d")
    )


lines = {
    "plain": lambda: csv("\t", TYPES | EXTRA),
    "gz": lambda: csv("\t", TYPES | EXTRA),
    "zst": lambda: csv("\t", TYPES | EXTRA),
    "comma": lambda: csv(";", TYPES, decimal_comma=True),
    "newlines": lambda: csv(",", TYPES | {"note": pl.String}, quote_char='"'),
    "fixed": fixed,
    "json": json,
    "wide": wide,
    "parquet": lambda: pl.scan_parquet(f"{folder}/*"),
}[format]()

cents = lambda column: pl.col(column).mul(100).round().cast(pl.Int64)
if format == "wide":
    lines = lines.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in MEASURES))
    amounts = [cents(name).alias(name) for name in MEASURES]
else:
    lines = lines.filter(pl.col("code").is_in([4, 5, 6])).with_columns(cents=cents("amount"))
    amounts = [pl.when(pl.col("code") == code).then("cents").alias(name) for name, code in MEASURES.items()]
sums = [pl.col(name).sum() for name in MEASURES]
counts = [pl.col(name).count().alias(f"{name}_lines") for name in MEASURES]
decimals = [
    pl.when(pl.col(f"{name}_lines") > 0).then((pl.col(name).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2))).alias(name)
    for name in MEASURES
]
lines.select(*KEYS, *amounts).group_by(KEYS).agg(*sums, *counts).select(*KEYS, *decimals).sort(KEYS).sink_parquet(
    out, engine="streaming"
)
