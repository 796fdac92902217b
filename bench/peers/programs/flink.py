"""Flink SQL: a tumbling window in the mini-cluster, without any Python in the path of records.

Its jar, the connector to Kafka, is in the variable JARS.
"""

import os
import sys

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

from bench.peers.programs import marks

OPTIONS = {
    "parallelism.default": "1",
    "taskmanager.numberOfTaskSlots": "1",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
}
TRADES = """
CREATE TABLE trades (
  symbol STRING, price DOUBLE, quantity DOUBLE, side STRING, time_ms BIGINT,
  event_time AS TO_TIMESTAMP_LTZ(time_ms, 3), WATERMARK FOR event_time AS event_time - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = '{source}', 'properties.bootstrap.servers' = '{broker}',
  'properties.group.id' = 'flink', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
  'properties.max.poll.records' = '5000', 'properties.fetch.max.bytes' = '52428800',
  'properties.max.partition.fetch.bytes' = '8388608', 'format' = 'json'
)"""
BARS = """
CREATE TABLE bars (
  symbol STRING, start_ms BIGINT, `open` DOUBLE, high DOUBLE, low DOUBLE, `close` DOUBLE, volume DOUBLE, vwap DOUBLE,
  buy_volume DOUBLE, `count` BIGINT
) WITH (
  'connector' = 'kafka', 'topic' = '{sink}', 'properties.bootstrap.servers' = '{broker}',
  'properties.linger.ms' = '20', 'key.format' = 'raw', 'key.fields' = 'symbol', 'format' = 'json'
)"""
INSERT = """
INSERT INTO bars SELECT symbol, UNIX_TIMESTAMP(CAST(window_start AS STRING)) * 1000,
  FIRST_VALUE(price), MAX(price), MIN(price), LAST_VALUE(price), SUM(quantity), SUM(price * quantity) / SUM(quantity),
  SUM(CASE WHEN side = 'buy' THEN quantity ELSE 0 END), COUNT(*)
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(event_time), INTERVAL '1' SECOND))
GROUP BY symbol, window_start, window_end"""


def main() -> None:
    broker, source, sink, _ = sys.argv[1:]
    configuration = Configuration()
    for key, value in OPTIONS.items():
        configuration.set_string(key, value)
    jars = ";".join(f"file://{jar}" for jar in os.environ["JARS"].split(os.pathsep))
    configuration.set_string("pipeline.jars", jars)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    tables = TableEnvironment.create(settings)
    tables.execute_sql(TRADES.format(broker=broker, source=source))
    tables.execute_sql(BARS.format(broker=broker, sink=sink))
    marks.begin()
    tables.execute_sql(INSERT).wait()
    marks.end()


if __name__ == "__main__":
    main()
