"""Scores as VADER's authors print them in its README, and which texts get one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer, SentiText

from tickertape.stream.feeds.networks.sentiment import sentiment

ANALYZER = SentimentIntensityAnalyzer()
SCORE = ANALYZER.polarity_scores


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


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f680" * 5000,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 " * 5000,
        "good but " * 5000,
        "a b c good " * 5000,
        "never so this great " * 5000,
        "x" * 1_000_000,
        "!" * 1_000_000,
        "GREAT bad! " * 5000,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_scored_is_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[str] = []
    monkeypatch.setattr(
        SentimentIntensityAnalyzer, "polarity_scores", lambda _, text: scored.append(text) or SCORE(text)
    )
    sentiment(text, "en")
    (one,) = scored
    assert text.startswith(one)
    assert len(one) <= 5000
    # What VADER's time grows with the square of: words, those that emoji stand for among them.
    spelt_out = "".join(f" {ANALYZER.emojis[letter]}" if letter in ANALYZER.emojis else letter for letter in one)
    assert len(SentiText(spelt_out).words_and_emoticons) <= 200


def test_of_a_long_text_the_beginning_is_scored() -> None:
    assert sentiment("word " * 100 + "great", "en") == SCORE("great")["compound"]
    assert sentiment("word " * 300 + "great", "en") == 0.0
    # The words that emoji stand for are counted too: "rocket", and "smiling face with sunglasses".
    assert sentiment("\U0001f680" * 300 + " great", "en") == 0.0


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["good", "BAD", "but", "\U0001f60e", "not", "very", "so-so", "!"]), max_size=40))
def test_an_ordinary_text_is_scored_as_a_whole(words: list[str]) -> None:
    text = " ".join(words)
    assert sentiment(text, "en") == SCORE(text)["compound"]
