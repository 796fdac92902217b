"""Which partition a key belongs to: what Kafka's own producers say, so that foreign ones agree."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

# More symbols than any market has; past it the cost is a microsecond a byte, not a wrong answer.
_KEYS = 1 << 16


@lru_cache(maxsize=_KEYS)
def partition_for(key: str, partitions: int) -> int:
    """Return the partition of a key by Kafka's default partitioner: murmur2 of its UTF-8, made positive, modulo.

    Parameters
    ----------
    key
        The record's key.
    partitions
        How many partitions the topic has, one or more.
    """
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def partition_within(number: int, over: int) -> int:
    """Return which of so many partitions an event of a symbol that is spread falls into: by its id alone.

    Parameters
    ----------
    number
        The event's id; those of a source mostly rise, be it by one or not.
    over
        How many partitions, one or more.
    """
    # Fibonacci hashing: ids of any stride are spread.
    return ((number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32) * over >> 32
