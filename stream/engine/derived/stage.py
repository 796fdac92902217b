"""What a flush publishes, and the stages that add to it: one interface, whatever a stage makes of final windows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.results import Finals, Output, Result
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.frames.upserts import SliceKey
from tickertape.stream.engine.recovery.state import State


class Times(Protocol):
    """How far the windows of a shard are."""

    def settled_ms(self, shard: int, source: str) -> int:
        """Return the time up to which no window is corrected any more."""

    def published_ms(self, shard: int, source: str) -> int:
        """Return the time up to which all results were published when the last owner committed."""


@dataclass(slots=True)
class Flush:
    """What one flush publishes.

    Attributes
    ----------
    results, ends_ms
        Records, and when each one's window ends; windows in time order.
    finals
        The windows among them that are final, and those that are final again after a correction.
    complete
        False while windows before these are still to come.
    """

    results: list[Result]
    ends_ms: list[int]
    finals: Finals
    complete: bool = True


class Stage(ABC):
    """Adds to what a flush publishes; stages run one after the other.

    Attributes
    ----------
    takes
        The metrics of final windows that it needs.
    lags
        Whether the last flush left work to do; a checkpoint made now would forget it.
    needs_all_finals
        Whether it starts from the first final window of a shard, so that a shard without a snapshot is read from there.
    """

    takes: Sequence[str] = ()
    lags = False
    needs_all_finals = False

    @property
    def outputs(self) -> list[Output]:
        """What it makes that windows don't."""
        return []

    @abstractmethod
    def assign(self, shard: int, state: State | None, *, fresh: bool) -> list[str]:
        """Begin with a shard.

        Parameters
        ----------
        shard
            Which.
        state
            What a snapshot has; None without one.
        fresh
            Without one: whether the shard is read from where it was first read.

        Returns
        -------
        list[str]
            The outputs that begin in the middle, because what came before is lost.
        """

    @abstractmethod
    def with_state(self, state: State, shard: int, times: Times) -> State:
        """Return what a snapshot has of a shard, with what this stage knows of it."""

    @abstractmethod
    def process(self, flush: Flush, times: Times) -> None:
        """Add to a flush what follows from it."""

    def see_upserts(self, keys: list[SliceKey], columns: Columns) -> None:  # noqa: B027 - most need only finals
        """Look at upserts before they are merged; see `Upserts`."""

    def see_folded(self, shard: int, keys: list[SliceKey], offsets: Ints) -> None:  # noqa: B027 - as above
        """Look at slices that are folded for good, and at the offsets of their upserts."""

    def needed_offset(self, shard: int, read: int) -> int:  # noqa: ARG002 - most need nothing read again
        """Return the oldest offset that the next owner has to read from for this stage, at most ``read``."""
        return read
