"""The partition of a key: computed as Kafka's own producers do, so other producers choose the same partition."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

# More symbols than any market has. With more, results are still correct but cost a microsecond per byte of the key.
_KEYS = 1 << 16


@lru_cache(maxsize=_KEYS)
def partition_for(key: str, partitions: int) -> int:
    """Return a key's partition by Kafka's default partitioner: murmur2 of its UTF-8, made positive, modulo.

    Parameters
    ----------
    key
        The record's key.
    partitions
        The topic's number of partitions, one or more.
    """
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def partition_within(number: int, over: int) -> int:
    """Return the partition of an event whose symbol is spread over several partitions. Only the event's id decides.

    Parameters
    ----------
    number
        The event's id. A source's ids mostly rise, by one or by more.
    over
        The number of partitions, one or more.
    """
    # Fibonacci hashing spreads ids of any stride.
    return ((number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32) * over >> 32
