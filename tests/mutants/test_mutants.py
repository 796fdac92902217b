"""Each bug of ``make mutants`` can be planted: the text that it replaces occurs in its file once."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import Bug, bugs

ROOT = Path(__file__).parents[2]
ALL = list(bugs())


def test_there_are_many_and_each_is_another() -> None:
    assert len(ALL) >= 60
    assert len({bug.what for bug in ALL}) == len(ALL)


@pytest.mark.parametrize("bug", ALL, ids=lambda bug: f"{bug.area}: {bug.what}")
def test_it_has_its_place(bug: Bug) -> None:
    assert (ROOT / bug.file).read_text().count(bug.old) == 1
    assert bug.old != bug.new
    assert [name for name in bug.tests if not (ROOT / name).is_file()] == []
