"""The sentiment of a text by VADER [1]_: a lexicon and rules that were made for posts in English.

The feed scores a post and stores the score in its record. Scoring takes fifty microseconds a text, too long for
workers, which count a post in a few. The package `vaderSentiment` includes its lexicon and has not changed since 2020,
so a text's score doesn't change either. nltk's copy of it downloads the lexicon when it first runs.

References
----------
.. [1] Hutto, Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text",
   Proceedings of the International AAAI Conference on Web and Social Media 8(1).
"""

from functools import cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

# A post has some fifty words. This many take less than a hundredth of a second at worst.
MOST_WORDS = 200
MOST_LETTERS = 5000


def sentiment(text: str, language: str) -> float | None:
    """Return a text's compound score, −1 to 1; None unless its language is given as English.

    Parameters
    ----------
    text
        The text. Its first `MOST_WORDS` words are scored, counting the words that emoji stand for.
    language
        A BCP 47 tag: ``en``, ``en-GB``; empty if unknown.
    """
    if language.partition("-")[0].lower() != "en":
        return None
    return float(_analyzer().polarity_scores(_bounded(text))["compound"])


def _bounded(text: str) -> str:
    """Return the beginning of a text that is scored, which is all of an ordinary post.

    VADER's time grows with the square of the words, and it reads an emoji as several.
    """
    text = text[:MOST_LETTERS]
    emojis, words, in_word = _analyzer().emojis, 0, False
    for at, letter in enumerate(text):
        if (name := emojis.get(letter)) is not None:
            words += len(name.split()) + (not in_word)
            in_word = True
        elif letter.isspace():
            in_word = False
        elif not in_word:
            words += 1
            in_word = True
        if words > MOST_WORDS:
            return text[:at]
    return text


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
