"""Several recursions over the same final windows, which are kept once for all of them."""

import msgspec
import numpy as np

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion, Recursions
from tickertape.stream.engine.derived.recursion import EVER, StatefulSeries, passed
from tickertape.stream.engine.derived.series import Place, Series, dtypes_of
from tickertape.stream.engine.recovery.state import Kept

_SHARED = ("symbol", "source", "resolution", "start_ms", "final", "revision")


class RecursionsSeries(StatefulSeries):
    """Follows final windows by several recursions.

    In a snapshot, each column begins with the kind of its recursion. So a recursion that is added begins anew, and
    the others go on. Results of the new one are incomplete for as long as its recipe says.

    Parameters
    ----------
    recursions
        The recipe.
    """

    def __init__(self, recursions: Recursions) -> None:
        of, members = recursions.of, recursions.members
        super().__init__(
            [member.output for member in members],
            {recursions.resolution: of.resolutions[recursions.resolution]},
            dtypes_of(of, members[0].takes),
            {_column(member, name): column for member in members for name, column in member.state.items()},
            # Each member's own is checked below.
            0,
            {_column(member, "joined"): (INT, 0) for member in members},
        )
        self._of_windows = of.output.name
        self._members = members
        #: Those that the snapshot being restored doesn't have.
        self._without_past: list[Recursion] = []
        self._fields = {member.output: _fields(member) for member in members}

    @property
    def form(self) -> str:
        return f"{self._of_windows} {sorted(self.widths.items())} {self.takes}"

    def assign(self, shard: int, kept: Kept | None, *, anew: bool) -> list[str]:
        if kept is None:
            return super().assign(shard, None, anew=anew)
        known = [member for member in self._members if self._has(kept, member)]
        added = [member for member in self._members if member not in known]
        of_added = tuple(f"{one}{_column(member, '')}" for member in added for one in ("", "_"))
        columns = {name: column for name, column in kept.columns.items() if not name.startswith(of_added)}
        self._without_past = added
        super().assign(shard, msgspec.structs.replace(kept, columns=columns), anew=anew)
        return [member.output.name for member in added]

    def _has(self, kept: Kept, member: Recursion) -> bool:
        """Return whether a snapshot has the state of a member."""
        n = len(kept.columns.get("events", b"")) // INT.itemsize
        return all(
            len(kept.columns.get(f"_{_column(member, name)}", b"?")) == n * dtype.itemsize
            for name, (dtype, _) in member.state.items()
        )

    def _restored(self, shard: int) -> None:
        rows = [row for series in self._series[shard].values() for row in series.rows]
        for member in self._without_past:
            for name, (_, start) in member.state.items():
                self._arena.columns[f"_{_column(member, name)}"][rows] = start

    def _advance(self, state: Columns, taken: Columns, places: list[Place[Series]], rows: Ints) -> Columns:
        windows = taken | {"passed": passed(places)}
        made: Columns = {}
        for member in self._members:
            own = {name: state[_column(member, name)] for name in member.state}
            made |= {_column(member, name): column for name, column in member.step(own, windows).items()}
            state |= {_column(member, name): column for name, column in own.items()}
        return taken | made | {"publish": np.ones(len(rows), np.bool_)}

    def _step(self, places: list[Place[Series]], rows: Ints, before: Ints) -> Columns:
        made, stored = super()._step(places, rows, before), self._arena.columns
        first, clean = before < 0, stored["clean"][rows]
        for member in self._members:
            column = stored[_column(member, "joined")]
            joined = column[rows] = np.where(first, EVER, column[before] + 1)
            made[_column(member, "incomplete")] = np.minimum(clean, joined) < member.memory
        return made

    def _of(self, output: Output, columns: Columns) -> Columns:
        return {name: columns[column] for name, column in self._fields[output].items()}


def _column(member: Recursion, name: str) -> str:
    return f"{member.output.kind}/{name}"


def _fields(member: Recursion) -> dict[str, str]:
    """Return the column of each field of a member's results."""
    shared = {*member.takes, *_SHARED}
    names = [name for name in member.result.__struct_fields__ if name not in _SHARED[:4]]
    own = {name: name if name in shared else _column(member, name) for name in names}
    return own | {"width_ms": "width_ms"}
