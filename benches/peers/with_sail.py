"""The job in a Sail server that is already running: `with_sail.py PORT FOLDER OUT`; OUT becomes a folder.

Sail distributes the sorted rows over four files, each sorted: it has no setting for one file.

Prints the seconds that the query took, without the start of this client. A server pays the cost of its own start only once.
"""

import sys
import time

from pyspark.sql import SparkSession
from spark_job import aggregate

port, folder, out = sys.argv[1:]
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
# The first query opens the session.
spark.range(1).count()
start = time.perf_counter()
# Without the offset, the optimiser would drop the sort before the write.
aggregate(spark, folder, out, lambda summary: summary.offset(0))
print(time.perf_counter() - start)
spark.stop()
