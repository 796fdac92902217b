"""Texts by code: a column of names is an array of small integers, and each name is made bytes once."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled.library import address_of

_Ints: TypeAlias = NDArray[np.int64]
# The most texts whose bytes are kept.
_MOST_TEXTS = 1 << 17


class Coded(Sequence[str]):
    """n texts, as codes.

    Parameters
    ----------
    names
        The texts by code. It may grow, and changes in no other way.
    codes
        Shape (n,).
    """

    __slots__ = ("codes", "names")

    def __init__(self, names: Sequence[str], codes: _Ints) -> None:
        self.names = names
        self.codes = codes

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Coded":
        """Return texts with codes of their own."""
        code = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        return cls(list(code), np.array([code[text] for text in texts], np.int64))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, which: int) -> str: ...
    @overload
    def __getitem__(self, which: "slice | _Ints") -> "Coded": ...
    def __getitem__(self, which: "int | slice | _Ints") -> "str | Coded":
        if isinstance(which, slice | np.ndarray):
            return Coded(self.names, self.codes[which])
        return self.names[int(self.codes[which])]

    def __iter__(self) -> Iterator[str]:
        names = self.names
        return iter([names[code] for code in self.codes.tolist()])


class Texts:
    """The bytes of texts, one behind the other.

    Parameters
    ----------
    form
        Makes the bytes of a text.

    Attributes
    ----------
    buffer
        The bytes of all texts.
    at
        Where each text begins in them, and where the last one ends.
    address, at_address
        Where both lie.
    longest_bytes
        The size of the longest text.
    """

    def __init__(self, form: Callable[[str], bytes]) -> None:
        self._form = form
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        self._bytes = bytearray()
        self._ends = [0]
        #: The names of the last call, and the number of each here.
        self._names: Sequence[str] = ()
        self._number_of = np.empty(0, np.int64)
        self.longest_bytes = 0

    def numbers(self, texts: Coded) -> _Ints:
        """Return the number of each text here, shape (n,)."""
        if len(self._numbers) > _MOST_TEXTS:
            self._forget()
        if texts.names is not self._names:
            self._names, self._number_of = texts.names, np.empty(0, np.int64)
        if len(self._number_of) < len(texts.names):
            new = texts.names[len(self._number_of) :]
            self._learn(new)
            more = np.array([self._numbers[text] for text in new], np.int64)
            self._number_of = np.concatenate([self._number_of, more])
        numbers: _Ints = self._number_of[texts.codes]
        return numbers

    def _learn(self, texts: Sequence[str]) -> None:
        known = len(self._numbers)
        for text in texts:
            if text not in self._numbers:
                made = self._form(text)
                self._numbers[text] = len(self._numbers)
                self._bytes += made
                self._ends.append(len(self._bytes))
                self.longest_bytes = max(self.longest_bytes, len(made))
        if len(self._numbers) > known:
            self.buffer, self.at = np.frombuffer(bytes(self._bytes), np.uint8).copy(), np.array(self._ends, np.int64)
            self.address, self.at_address = address_of(self.buffer), address_of(self.at)
