"""The job in Spark, started for the job and stopped after it: `with_spark.py CORES FOLDER OUT`; OUT becomes a folder."""

import sys

from pyspark.sql import SparkSession
from spark_job import aggregate

cores, folder, out = sys.argv[1:]
spark = (
    SparkSession.builder.master(f"local[{cores}]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", cores)
    .config("spark.driver.memory", "4g")
    .getOrCreate()
)
# One partition makes one file.
aggregate(spark, folder, out, lambda summary: summary.coalesce(1))
spark.stop()
