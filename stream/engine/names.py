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


class ReservedName(ValueError):  # noqa: N818 - it says what is wrong
    """A source has a name that means something else."""


class SourceNames(Names):
    """The same for sources.

    Raises
    ------
    ReservedName
        On the name `ALL`.
    """

    def __missing__(self, name: str) -> int:
        if name == ALL:
            raise ReservedName(f"`{ALL}` names all sources together, no source may be called so")
        return super().__missing__(name)
