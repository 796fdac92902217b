"""Spark Structured Streaming: ``groupBy`` a window of event time, append mode, a watermark of one second.

Its jars are in the variable JARS. The trigger ``availableNow`` reads to the end in micro-batches.
"""

import os
import sys
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from bench.peers.programs import marks

TRADE = "symbol string, price double, quantity double, side string, id long, time_ms long"
BATCH_RECORDS = 500_000


def main() -> None:
    broker, source, sink, _ = sys.argv[1:]
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.jars", os.environ["JARS"].replace(os.pathsep, ","))
        .config("spark.sql.shuffle.partitions", 1)
        .config("spark.driver.memory", "2g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", broker)
        .option("subscribe", source)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", BATCH_RECORDS)
        .option("kafka.max.poll.records", 10_000)
        .option("kafka.fetch.max.bytes", 50 << 20)
        .option("kafka.max.partition.fetch.bytes", 8 << 20)
        .load()
    )
    trades = records.select(f.from_json(f.col("value").cast("string"), TRADE).alias("trade")).select("trade.*")
    trades = trades.withColumn("at", f.timestamp_millis("time_ms")).withWatermark("at", "1 second")
    order = f.struct("time_ms", "id")
    bars = trades.groupBy("symbol", f.window("at", "1 second").alias("second")).agg(
        f.min_by("price", order).alias("open"),
        f.max("price").alias("high"),
        f.min("price").alias("low"),
        f.max_by("price", order).alias("close"),
        f.sum("quantity").alias("volume"),
        (f.sum(f.col("price") * f.col("quantity")) / f.sum("quantity")).alias("vwap"),
        f.sum(f.when(f.col("side") == "buy", f.col("quantity")).otherwise(0.0)).alias("buy_volume"),
        f.count("*").alias("count"),
    )
    fields = ("open", "high", "low", "close", "volume", "vwap", "buy_volume", "count")
    value = f.to_json(f.struct("symbol", f.unix_millis("second.start").alias("start_ms"), *fields))
    marks.begin()
    with tempfile.TemporaryDirectory() as folder:
        query = (
            bars.select(f.col("symbol").alias("key"), value.alias("value"))
            .writeStream.format("kafka")
            .option("kafka.bootstrap.servers", broker)
            .option("topic", sink)
            .option("kafka.linger.ms", 20)
            .option("checkpointLocation", folder)
            .outputMode("append")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
        marks.end()


if __name__ == "__main__":
    main()
