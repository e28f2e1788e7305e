"""The job in PySpark, for Spark itself or for Sail over Spark Connect."""

from pyspark.sql import functions as f

SCHEMA = (
    "store_id STRING, amount DECIMAL(18,2), code INT, item_id STRING, trans_date DATE,"
    " extra_1 STRING, extra_2 STRING, extra_3 STRING"
)
MEASURES = {"sale_amount": 4, "tax_amount": 5, "discount_amount": 6}
KEYS = ["store_id", "item_id", "trans_date"]


def aggregate(spark, folder, out, finish):
    """Sums the files of `folder` into sorted Parquet in the folder `out`; `finish` may change the sorted rows before the write."""
    lines = spark.read.schema(SCHEMA).option("sep", "\t").option("header", "false").csv(folder)
    sums = [
        f.sum(f.when(f.col("code") == code, f.col("amount"))).cast("decimal(18,2)").alias(name)
        for name, code in MEASURES.items()
    ]
    summary = lines.where(f.col("code").isin(4, 5, 6)).groupBy(KEYS).agg(*sums)
    finish(summary.orderBy(KEYS)).write.mode("overwrite").parquet(out)
