"""Metrics of all sources that are sums over each source's own."""

import numpy as np
import pytest

from tickertape.stream.engine.tables.source_totals import add_up

MOST = 2**63 - 1


@pytest.mark.parametrize(
    ("shares", "total"),
    [((3, 4), 7), ((MOST, 0), MOST), ((MOST - 1, 1), MOST), ((MOST, 1), MOST), ((MOST, MOST), MOST)],
)
def test_a_sum_stays_in_its_range(shares: tuple[int, int], total: int) -> None:
    # Row 0 is the window of all, whose source has the code 0; rows 1 and 2 are its shares.
    windows = {"whole": np.array([-1, 0, 0]), "source": np.array([0, 1, 2])}
    metrics = {"missing": np.array([99, *shares])}
    add_up(windows, np.array([0, 1, 2]), metrics, ("missing",))
    assert metrics["missing"].tolist() == [total, *shares]
