"""Names as small integers, so that columns of names are arrays."""

from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.columns import ints

#: The name under which all sources are taken together; no source may have it.
ALL = "all"


class Names:
    """Codes of names, given out from 0 as names come.

    Attributes
    ----------
    code
        By name. A plain dict, for a subclass's look-up takes half as long again.
    names
        By code.
    """

    def __init__(self) -> None:
        self.code: dict[str, int] = {}
        self.names: list[str] = []

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
    """The same for names that come from outside; each is looked at once, see `check`.

    Parameters
    ----------
    most
        More aren't kept from one block to the next: somebody may send a new name with each record.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def begin(self) -> None:
        """Begin a block: codes of the one before stand for nothing any more."""
        if len(self.names) > self._most:
            self.code.clear()
            self.names.clear()

    def _learn(self, name: str) -> None:
        check(name)
        super()._learn(name)
