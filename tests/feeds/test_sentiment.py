"""Scores as VADER's authors print them in its README, and which texts get one."""

import pytest

from stream.feeds.sentiment import sentiment


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("VADER is smart, handsome, and funny.", 0.8316),
        ("VADER is smart, handsome, and funny!", 0.8439),
        ("VADER is not smart, handsome, nor funny.", -0.7424),
        ("The book was good.", 0.4404),
        ("At least it isn't a horrible book.", 0.431),
        ("Today SUX!", -0.5461),
        ("Not bad at all", 0.431),
        ("", 0.0),
    ],
)
def test_scores_are_those_of_the_authors(text: str, score: float) -> None:
    assert sentiment(text, "en") == score


@pytest.mark.parametrize("language", ["", "de", "eng", "und"])
def test_only_what_is_said_to_be_in_english_is_scored(language: str) -> None:
    assert sentiment("I love it", language) is None
