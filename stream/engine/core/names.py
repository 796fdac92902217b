"""Names coded as small integers, so that a column of names is an array."""

from collections.abc import Iterable
from weakref import WeakKeyDictionary

import numpy as np

from tickertape.stream.engine.core.columns import Ints, ints

#: The name that stands for all sources together. No source may have it.
ALL = "all"
_NONE = np.empty(0, np.int64)


class Names:
    """Codes of names, assigned from 0 in the order in which names appear.

    Attributes
    ----------
    code
        By name. It is a plain dict, because a look-up in a subclass takes half as long again.
    names
        By code.
    cleared
        How often all codes have become invalid.
    """

    def __init__(self) -> None:
        self.code: dict[str, int] = {}
        self.names: list[str] = []
        self.cleared = 0

    def __getitem__(self, name: str) -> int:
        if name not in self.code:
            self._learn(name)
        return self.code[name]

    def codes(self, names: list[str]) -> Ints:
        """Return the code of each name, shape (n,)."""
        try:
            return ints(list(map(self.code.__getitem__, names)))
        except KeyError:
            return ints([self[name] for name in names])

    def _learn(self, name: str) -> None:
        self.code[name] = len(self.names)
        self.names.append(name)


class Translation:
    """The codes of several `Names` in one set of names of its own.

    Parameters
    ----------
    most
        With more names than this, `begin` forgets all of them: some may be long gone.

    Attributes
    ----------
    names
        The names by code, of all that were translated. The list only grows; `begin` may replace it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._forget()

    def _forget(self) -> None:
        self._own = Names()
        self.names = self._own.names
        #: Of each: how often it had been cleared, and the codes here by its codes.
        self._known: WeakKeyDictionary[Names, tuple[int, Ints]] = WeakKeyDictionary()

    def begin(self) -> None:
        """Forget names if there are too many. What was translated before has other codes."""
        if len(self.names) > self._most:
            self._forget()

    def of(self, others: Names) -> Ints:
        """Return the codes here by the codes of others, shape (n,)."""
        cleared, codes = self._known.get(others, (others.cleared, _NONE))
        if cleared != others.cleared:
            codes = _NONE
        if len(codes) < len(others.names):
            codes = np.concatenate([codes, self._own.codes(others.names[len(codes) :])])
            self._known[others] = others.cleared, codes
        return codes


class BadRecord(ValueError):  # noqa: N818 - the name says what is wrong
    """A record whose fields are valid one by one, but not together. Its text is the reason in the dead letter."""


class BadName(BadRecord):
    """A name is reserved, or has characters that names can't have."""


def check(name: str) -> None:
    """Check a name that comes from outside.

    Raises
    ------
    BadName
        The name is `ALL`; or it has a ``|``, which would make a result's key ambiguous; or it has unprintable
        characters, which a commit would have to escape.
    """
    if name == ALL:
        raise BadName(f"`{ALL}` is reserved for all sources together")
    if "|" in name:
        raise BadName(f"{name!r} has a `|`, which separates the names in a result's key")
    if not name.isprintable():
        raise BadName(f"{name!r} has unprintable characters")


class InputNames(Names):
    """Codes of names that come from outside. Each name is checked once, see `check`.

    Parameters
    ----------
    most
        With more names than this, `is_full` asks for `keep`: a feed may send a new name with each record.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = self._enough = most

    @property
    def is_full(self) -> bool:
        """Whether names should be forgotten."""
        return len(self.names) > self._enough

    def keep(self, names: Iterable[str]) -> None:
        """Forget all other names. These get new codes, from 0 in their order."""
        kept = list(dict.fromkeys(names))
        self.names[:] = kept
        self.code.clear()
        self.code |= {name: code for code, name in enumerate(kept)}
        self.cleared += 1
        # If most are in use, they are not looked through again for each new one.
        self._enough = max(self._most, 2 * len(kept))

    def _learn(self, name: str) -> None:
        check(name)
        super()._learn(name)
