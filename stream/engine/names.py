"""Names as small integers, so that columns of names are arrays."""

import numpy as np

from stream.engine.block import Ints

#: The name under which all sources are taken together; no source may have it.
ALL = "all"


class Names(dict[str, int]):
    """Codes of names, given out from 0 as names come; ``names`` lists them by code."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __missing__(self, name: str) -> int:
        code = self[name] = len(self.names)
        self.names.append(name)
        return code

    def codes(self, names: list[str]) -> Ints:
        """Return the code of each name, shape (n,)."""
        return np.fromiter([self[name] for name in names], np.int64, len(names))


class BadName(ValueError):  # noqa: N818 - it says what is wrong
    """A record has a name that would be taken for something else."""


def check(name: str) -> None:
    """Look at a name that comes from outside.

    Raises
    ------
    BadName
        It is `ALL`, or a result's key could be read in two ways, or a commit would have to spell it out.
    """
    if name == ALL:
        raise BadName(f"`{ALL}` names all sources together, none may be called so")
    if "|" in name:
        raise BadName(f"{name!r} has a `|`, which parts the names in a result's key")
    if not name.isprintable():
        raise BadName(f"{name!r} has characters that can't be seen")


class InputNames(Names):
    """The same for names that come from outside; each is looked at once, see `check`."""

    def __missing__(self, name: str) -> int:
        check(name)
        return super().__missing__(name)
