"""Passes the records of ``trades`` on to the topic ``echo``, as fast as it can: the way there and back costs so much.

Run: python -m bench.echo BROKER
"""

import sys

from confluent_kafka import OFFSET_END, Consumer, Message, Producer, TopicPartition

from tickertape.schemas.topics import TRADES

ECHO = "echo"
# The most records that are taken at once, and how long it waits for the first one.
MOST, WAIT_SECONDS = 1000, 0.1
START_SECONDS = 1.0


def taken(consumer: Consumer) -> list[Message]:
    """Wait for a record, and return it with all others that are there, without errors."""
    first = consumer.poll(WAIT_SECONDS)
    messages = [] if first is None else [first, *consumer.consume(MOST, 0)]
    return [message for message in messages if not message.error()]


def main(broker: str) -> None:
    # librdkafka takes the least CPU time.
    consumer = Consumer({"bootstrap.servers": broker, "group.id": ECHO, "fetch.wait.max.ms": 50})
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 0, "acks": "all"})
    partitions = consumer.list_topics(TRADES.name, timeout=10).topics[TRADES.name].partitions
    consumer.assign([TopicPartition(TRADES.name, number, OFFSET_END) for number in partitions])
    # It begins at the end only once it has asked where that is.
    consumer.poll(START_SECONDS)
    print("ready", flush=True)
    while True:
        for message in taken(consumer):
            producer.produce(ECHO, message.value(), message.key(), message.partition())
        producer.poll(0)


if __name__ == "__main__":
    main(sys.argv[1])
