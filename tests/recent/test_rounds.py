"""Rounds: who follows a topic gets each once, or is told that some are forgotten."""

from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.rounds import MOST_BYTES, MOST_SECONDS, Rounds

A = Series("A", "all", "1s", "")


def held(partition: int, offset: int, size_bytes: int = 10) -> Held:
    return Held(A, 0, False, 1, False, b"x" * size_bytes, partition, offset, 0)


def test_each_round_after_a_number_comes_once_in_order() -> None:
    rounds = Rounds({0: 5})
    rounds.add(3, 0.0, {0: 7}, [held(0, 6)])
    rounds.add(8, 0.1, {0: 9}, [])
    rounds.add(9, 0.2, {0: 12}, [held(0, 9)])
    assert [one.number for one in rounds.after(-1)] == [3, 8, 9]
    assert [(one.before, one.after) for one in rounds.after(3)] == [({0: 7}, {0: 9}), ({0: 9}, {0: 12})]
    assert list(rounds.after(9)) == []
    assert (rounds.position, rounds.begins) == ({0: 12}, {0: 5})


def test_old_rounds_are_forgotten_and_that_is_known() -> None:
    rounds = Rounds({0: 0})
    rounds.add(1, 0.0, {0: 1}, [held(0, 0)])
    rounds.add(4, MOST_SECONDS, {0: 2}, [held(0, 1)])
    assert rounds.knows(0)
    rounds.add(6, MOST_SECONDS + 0.1, {0: 3}, [held(0, 2)])
    # The first is gone: who has seen it misses nothing, and who hasn't does.
    assert [rounds.knows(number) for number in (0, 1, 4)] == [False, True, True]
    assert rounds.begins == {0: 1}


def test_large_rounds_are_forgotten_earlier() -> None:
    rounds = Rounds({0: 0})
    for number in range(5):
        rounds.add(number, 0.0, {0: number + 1}, [held(0, number, MOST_BYTES // 3)])
    assert [one.number for one in rounds.after(-1)] == [3, 4]


def test_changes_are_in_the_order_of_partitions_and_offsets() -> None:
    rounds = Rounds({})
    added = rounds.add(1, 0.0, {}, [held(1, 3), held(0, 9), held(1, 2)])
    assert [(one.partition, one.offset) for one in added.in_order()] == [(0, 9), (1, 2), (1, 3)]
