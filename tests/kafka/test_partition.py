import pytest

from stream.kafka.partition import partition_for


# From Kafka's own tests of Utils.murmur2: the hash, made positive, modulo a prime.
@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_a_key_goes_where_kafkas_own_producers_send_it(key: str, murmur2: int) -> None:
    assert partition_for(key, 101) == (murmur2 & 0x7FFFFFFF) % 101


def test_one_partition_has_everything() -> None:
    assert {partition_for(f"S{n}", 1) for n in range(100)} == {0}


def test_symbols_spread_over_all_partitions() -> None:
    assert {partition_for(f"S{n}-USDT", 16) for n in range(500)} == set(range(16))
