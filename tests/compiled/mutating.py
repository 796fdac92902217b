"""Changes texts by the thousand: each is cut, and something else is put between."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.values import PackedValues

NUMBER, TEXT, KEY, MARK = range(4)
_TOKEN = re.compile(
    rb'(?P<key>"[^"]*":)|(?P<text>"[^"]*")|(?P<number>[-+.eE0-9]+|null|true|false)|(?P<mark>[{},: ]|[\x00-\xff])'
)
_CLASSES = {"number": NUMBER, "text": TEXT, "key": KEY, "mark": MARK}


class Tokens(NamedTuple):
    """The tokens of n texts in a row, and for each text where they begin and end among all.

    Attributes
    ----------
    begin, end
        Where each lies in its text, shape (tokens,).
    of
        Its class, shape (tokens,).
    first, many
        By text, shape (n,).
    """

    begin: Ints
    end: Ints
    of: Ints
    first: Ints
    many: Ints


class Words(NamedTuple):
    """What is put in: words in the order of their classes, and for each class where its words begin, and how many."""

    texts: list[bytes]
    first: Ints
    many: Ints


def tokens(texts: Sequence[bytes]) -> Tokens:
    found = [
        [(match.start(), match.end(), _CLASSES[match.lastgroup or "mark"]) for match in _TOKEN.finditer(text)]
        for text in texts
    ]
    many = np.array([len(each) for each in found])
    begin, end, of = np.array([each for some in found for each in some], np.int64).T
    return Tokens(begin, end, of, np.cumsum(many) - many, many)


def words(*classes: Sequence[bytes]) -> Words:
    """Return numbers, texts, keys and marks as words."""
    many = np.array([len(each) for each in classes])
    return Words([word for each in classes for word in each], np.cumsum(many) - many, many)


class Mutator:
    """Mutates some texts with some words."""

    def __init__(self, texts: list[bytes], put: Words, random: np.random.Generator) -> None:
        self._texts = texts
        self._tokens = tokens(texts)
        self._put = put
        self._random = random

    def _below(self, most: Ints) -> Ints:
        """Return a random number below each, shape (n,)."""
        return (self._random.random(len(most)) * most).astype(np.int64)

    def mutated(self, n: int) -> list[bytes]:
        """Return n of the texts, most of them changed at a token, and some then at a few bytes."""
        random, found, put = self._random, self._tokens, self._put
        which = random.integers(0, len(self._texts), n)
        token = found.first[which] + self._below(found.many[which])
        begin, end, of = found.begin[token], found.end[token], found.of[token]
        # Mostly there is another one of the same class; else any, or any before it, or nothing.
        how = random.random(n)
        word_of = np.where(how < 0.8, of, random.integers(0, 4, n))
        word = put.first[word_of] + self._below(put.many[word_of])
        end = np.where((how > 0.85) & (how < 0.9), begin, end)
        empty = len(put.texts)
        word[how > 0.95] = empty
        # Only a few lose what holds them together.
        kept = ((of == KEY) | (of == MARK)) & (random.random(n) < 0.75)
        word[kept], end[kept] = empty, begin[kept]
        texts, places = self._texts, zip(which.tolist(), begin.tolist(), end.tolist(), word.tolist(), strict=True)
        new = [*put.texts, b""]
        changed = [texts[i][:first] + new[k] + texts[i][last:] for i, first, last, k in places]
        for i in np.flatnonzero(random.random(n) < 0.15).tolist():
            changed[i] = self._bytewise(changed, changed[i])
        return changed

    def cut_short(self) -> PackedValues:
        """Return a text that goes on with digits up to the end of its buffer, cut short at each place."""
        random, found = self._random, self._tokens
        numbers = np.flatnonzero(found.of == NUMBER)
        token = int(numbers[random.integers(len(numbers))])
        which = int(np.searchsorted(found.first, token, side="right")) - 1
        begin = int(found.begin[token])
        signs = np.frombuffer(b"-.eE+0", np.uint8)
        # The most that is read ahead is less than 48 bytes.
        size = random.integers(1, 80) if random.random() < 0.5 else random.integers(36, 50)
        tail = random.integers(ord("0"), ord("9") + 1, size).astype(np.uint8)
        signed = random.random(len(tail)) < random.choice((0.0, 0.03, 0.1))
        tail[signed] = random.choice(signs, int(signed.sum()))
        point = int(random.integers(1, 24))
        tail[point : point + 1] = ord(".")
        text = self._texts[which][:begin] + tail.tobytes()
        sizes = np.arange(1, len(text) + 1)
        return PackedValues(np.frombuffer(text, np.uint8), np.zeros_like(sizes), sizes)

    def _bytewise(self, others: list[bytes], text: bytes) -> bytes:
        """Return a text with a few bytes changed, put in, taken out, doubled, or the end cut off."""
        how, where, more = self._random.random(3).tolist()
        first = int(where * (len(text) + 1))
        byte = bytes([int(more * 256)])
        match int(how * 8):
            case 0 | 1:
                return text[:first] + byte + text[first + 1 :]
            case 2:
                return text[:first] + byte + text[first:]
            case 3:
                return text[:first] + text[first + 1 + int(more * 3) :]
            case 4:
                return text[:first]
            case 5:
                return text[:first] + self._put.texts[int(more * len(self._put.texts))] + text[first:]
            case 6:
                return text[:first] + text[int(more * len(text)) :]
            case _:
                other = others[int(more * len(others))]
                return text[:first] + other[min(first, len(other)) :]
