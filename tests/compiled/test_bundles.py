"""Bundles that compiled code reads are what Python makes of them; all others are left to Python."""

from random import Random

import pytest

from tests.compiled import bundles
from tests.compiled.both import needs_library
from tests.compiled.bundles import Case
from tests.compiled.generated import RECORDS
from tickertape.schemas import bundle

pytestmark = needs_library


@pytest.mark.parametrize("seed", range(40))
def test_changed_bundles_are_the_same_with_the_library_and_without(seed: int) -> None:
    random = Random(seed)
    for _ in range(50):
        case = bundles.mutated(random)
        assert bundles.differ(case) is None, bundles.told(case)


def test_what_feeds_write_is_read_by_the_library() -> None:
    random = Random(1)
    for record in RECORDS:
        read = 0
        for _ in range(100):
            value, n = bundles.whole(record, random)
            case = Case(record, [value], [tuple(bundle.to_headers(n))])
            assert bundles.differ(case) is None
            read += bundles.read_by_library(case)
        # Not those with an id that is a text, or with a choice that isn't plain.
        assert read > 30, record
