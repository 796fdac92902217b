"""The interface of post-processors, which add results made from final windows to a flush."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import Finals, Output, ResultBlock
from tickertape.stream.engine.frames.upserts import SliceKey, Upserts
from tickertape.stream.engine.recovery.state import State


class Times(Protocol):
    """How far the windows of each shard are settled and published."""

    def settled_ms(self, shard: int, source: str) -> int:
        """Return the time up to which windows can't be corrected any more."""

    def published_ms(self, shard: int, source: str) -> int:
        """Return the time up to which all results were published when the previous owner committed."""


@dataclass(slots=True)
class Flush:
    """The results of one flush.

    Attributes
    ----------
    results
        The records to publish: windows, by their ends, and then derived results.
    ends_ms
        The end of each window, ms.
    finals
        The final windows, including corrected ones.
    complete
        False while earlier windows are still missing, because they have to be filled.
    """

    results: list[ResultBlock]
    ends_ms: list[int]
    finals: Finals
    complete: bool = True


class PostProcessor(ABC):
    """Adds results to a flush. Post-processors run one after the other.

    Attributes
    ----------
    takes
        The metrics of final windows that the post-processor needs.
    lags
        Whether the last flush left work to do, which a checkpoint made now would lose.
    sees_slices
        Whether `see_upserts` and `see_folded` are called.
    needs_all_finals
        Whether it needs all final windows of a shard. A shard without a snapshot is then read from its start.
    """

    takes: Sequence[str] = ()
    lags = False
    sees_slices = False
    needs_all_finals = False

    @property
    def outputs(self) -> list[Output]:
        """The outputs that the post-processor makes, besides windows."""
        return []

    @abstractmethod
    def assign(self, shard: int, state: State | None, *, fresh: bool) -> list[str]:
        """Start with a shard.

        Parameters
        ----------
        state
            The state in a snapshot, or None.
        fresh
            Without a snapshot: whether the shard is read from its first frame that counts.

        Returns
        -------
        list[str]
            The names of the outputs that start without their past, because that is lost.
        """

    @abstractmethod
    def with_state(self, state: State, shard: int, times: Times) -> State:
        """Return the shard's state for a snapshot, with this post-processor's part added."""

    @abstractmethod
    def process(self, flush: Flush, times: Times) -> None:
        """Add results to a flush."""

    def see_upserts(self, upserts: Upserts) -> None:  # noqa: B027 - most need only finals
        """Receive upserts before they are merged."""

    def see_folded(self, shard: int, keys: list[SliceKey], offsets: Ints) -> None:  # noqa: B027 - as above
        """Receive slices that are folded for good, and the offsets of their newest upserts."""

    def needed_offset(self, shard: int, read: int) -> int:  # noqa: ARG002 - most need nothing read again
        """Return the offset from which the next owner has to read for this post-processor, at most ``read``."""
        return read
