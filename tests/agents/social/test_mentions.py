"""Mentions against their baseline, as Polars has it with zeros where there are no posts."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents.social.through import through
from tests.engine.blocks import HOUR_MS
from tickertape.agents.social.mentions import ALPHA, WARM, Mentions
from tickertape.schemas.post import Post

MINUTE_MS = 60_000


def followed(counts: list[int], **more: object) -> dict[int, Mentions]:
    """Return what follows a symbol's minutes with so many posts, by minute."""
    posts = [
        Post(
            author="a",
            source="s",
            id=1000 * minute + i,
            time_ms=HOUR_MS + MINUTE_MS * minute + i,
            text="",
            symbols=("A",),
        )
        for minute, count in enumerate(counts)
        for i in range(count)
    ]
    said = through(posts, end_ms={"s": HOUR_MS + MINUTE_MS * (len(counts) + 9)}, **more)  # type: ignore[arg-type]  # its options
    return {
        (start_ms - HOUR_MS) // MINUTE_MS: one
        for (_, source, resolution, start_ms), one in said.mentions.items()
        if (source, resolution) == ("s", "1m")
    }


def expected(counts: list[int]) -> list[tuple[float, float]]:
    """Return baseline and deviation behind each minute, from the first one with posts on; zeros included."""
    series = pl.Series(counts, dtype=pl.Float64)
    means = series.ewm_mean(alpha=ALPHA, adjust=False)
    deviations = series.ewm_var(alpha=ALPHA, adjust=False, bias=True).fill_null(0).sqrt()
    return list(zip(means.to_list(), deviations.to_list(), strict=True))


counts = st.lists(st.one_of(st.just(0), st.integers(0, 4)), min_size=WARM + 2, max_size=WARM + 40)


@settings(max_examples=30)
@given(counts=counts, block_records=st.integers(1, 60))
def test_the_baseline_is_that_of_polars_with_zeros_where_there_are_no_posts(
    counts: list[int], block_records: int
) -> None:
    found = followed(counts, block_records=block_records)
    begin = next((minute for minute, count in enumerate(counts) if count), len(counts))
    before = expected(counts[begin:])
    for minute, count in enumerate(counts):
        if not count or minute < begin + WARM:
            assert minute not in found
            continue
        mean, deviation = before[minute - begin - 1]
        one = found[minute]
        assert (one.mentions, one.final, one.revision) == (count, True, sum(counts[: minute + 1]))
        assert one.baseline == pytest.approx(mean, rel=1e-9)
        # A difference of squares: what is lost of it is of the mean's size.
        assert one.deviation == pytest.approx(deviation, rel=1e-9, abs=1e-6)
        assert one.z_score == pytest.approx((count - one.baseline) / max(one.deviation, 1), rel=1e-12)


def test_there_is_nothing_before_the_twentieth_window_from_the_first() -> None:
    assert sorted(followed([0, 1] + [0] * 18 + [1, 1, 1])) == [21, 22]


def test_after_a_long_silence_one_post_is_no_burst() -> None:
    assert 0.9 < followed([1] + [0] * 200 + [1])[201].z_score <= 1


def test_a_burst_is_far_from_its_baseline() -> None:
    assert followed([3] * 40 + [30])[40].z_score == pytest.approx(27)
