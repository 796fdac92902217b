from collections import Counter

import pytest

from tickertape.stream.kafka.partition import partition_for, partition_within


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


@pytest.mark.parametrize("stride", [1, 2, 4, 10, 1000, 1 << 20])
def test_ids_of_any_stride_are_spread_evenly(stride: int) -> None:
    found = Counter(partition_within(1_000_000_007 + n * stride, 4) for n in range(4000))
    assert set(found) == {0, 1, 2, 3}
    assert min(found.values()) > 700


def test_an_id_falls_where_the_golden_ratio_has_it() -> None:
    # The fractional part of n times 0.6180339887…: 0.618, 0.236, 0.854, and 0.6295 for 12345; of seven parts each.
    assert [partition_within(number, 7) for number in (1, 2, 3, 12345)] == [4, 1, 5, 4]


def test_the_greatest_id_is_one_too() -> None:
    assert [partition_within(number, 1) for number in (0, 5, 2**63 - 1)] == [0, 0, 0]
    assert partition_within(2**63 - 1, 10_000) < 10_000
