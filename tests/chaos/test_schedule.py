"""The same seed has the same in store."""

from itertools import islice

from tickertape.stream.chaos.faults import FAULTS
from tickertape.stream.chaos.schedule import blows


def test_a_seed_decides() -> None:
    names = list(FAULTS)
    assert list(islice(blows(3, names), 30)) == list(islice(blows(3, names), 30))
    assert list(islice(blows(3, names), 30)) != list(islice(blows(4, names), 30))


def test_every_kind_comes_before_any_comes_again() -> None:
    names = list(FAULTS)
    found = [blow.fault for blow in islice(blows(5, names), 2 * len(names))]
    assert sorted(found[: len(names)]) == sorted(found[len(names) :]) == sorted(names)
    assert found[: len(names)] != found[len(names) :]
