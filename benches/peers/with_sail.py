"""The job in a Sail server that runs already: `with_sail.py PORT FOLDER OUT`; OUT becomes a folder.

Sail deals the sorted rows out to four files, each sorted: it has no setting for one file.

Only the query is timed, not the start of this client: it prints the seconds. What a server costs at its start it pays once.
"""

import sys
import time

from pyspark.sql import SparkSession
from spark_job import aggregate

port, folder, out = sys.argv[1:]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
# The session is opened by its first question.
spark.range(1).count()
start = time.perf_counter()
# Without the offset the order would be optimised away before the write.
aggregate(spark, folder, out, lambda summary: summary.offset(0))
print(time.perf_counter() - start)
spark.stop()
