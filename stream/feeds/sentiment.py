"""How a text feels, by VADER: a lexicon and rules that were made for posts in English.

It is scored here, by the feed, and travels in the record: fifty microseconds a text are too many for the workers, which
count a post in a few. The package `vaderSentiment` brings its lexicon along and has not changed since 2020, so a text's
score doesn't either; nltk's copy of it downloads the lexicon when it first runs.

References
----------
.. [1] Hutto, Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
   Proceedings of the International AAAI Conference on Web and Social Media 8(1).
"""

from functools import cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


def sentiment(text: str, language: str) -> float | None:
    """Return a text's compound score, −1 to 1; None where it isn't said to be in English.

    Parameters
    ----------
    text
        The text.
    language
        BCP 47: ``en``, ``en-GB``; empty where nobody says.
    """
    if language.partition("-")[0].lower() != "en":
        return None
    return float(_analyzer().polarity_scores(text)["compound"])


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
