"""Past trades from files at hand. A file that is wrong or cut off ends the run: what follows could not be mended."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.backfill.past import BATCH_TRADES, Span
from tickertape.stream.feeds.clock import Clock
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.files.reading import read
from tickertape.stream.feeds.refill.refill import Seen
from tickertape.stream.feeds.tally import Tally


class _Strict(Tally):
    """A tally that ends at the first line that can't be read."""

    def turn_down(self, path: Path, place: str) -> None:
        raise InputError(place if place.startswith(str(path)) else f"{path}: {place}")


class AtHand:
    """The trades of files.

    Parameters
    ----------
    paths, format_
        The files, and their format.
    clock
        Creates the clock of a file; see `turns`.
    source
        The source's name for all trades; None to keep that of the format or the record.

    Attributes
    ----------
    name
        The source's name.
    from_ms
        The event time of the first trade, ms.

    Raises
    ------
    InputError
        A file can't be read, or there is no trade in them.
    """

    def __init__(
        self, paths: Sequence[Path], format_: Format, clock: Callable[[], Clock], source: str | None = None
    ) -> None:
        self._paths = paths
        self._format = format_
        self._clock = clock
        self._source = source
        self._tally = _Strict()
        first = next(self._trades(), None)
        if first is None:
            raise InputError(f"{paths[0]}: has no trades" + (", nor have the others" if len(paths) > 1 else ""))
        self.name, self.from_ms = first.source, first.time_ms

    async def trades(self, span: Span, after: dict[str, Seen]) -> AsyncGenerator[list[Trade]]:  # noqa: ARG002 - see `Trades`
        """Yield the trades of a span, in the files' order; whoever sends them leaves out those that are sent.

        Raises
        ------
        InputError
            A line can't be read, a file is cut off, or they have trades of several sources.
        """
        trades = self._trades()
        while batch := list(islice(trades, BATCH_TRADES)):
            for trade in batch:
                if trade.source != self.name:
                    raise InputError(
                        f"{self._paths[0]} and others have trades of {self.name} and of {trade.source}: name the files "
                        "of one source"
                    )
            yield [one for one in batch if span.from_ms <= one.time_ms < span.to_ms]

    def _trades(self) -> Iterator[Trade]:
        self._tally = _Strict()
        found = read(self._paths, self._format, self._tally, self._clock, source=self._source)
        yield from (one for one in found if isinstance(one, Trade))
        if self._tally.notes:
            # A file was cut off.
            raise InputError(self._tally.notes[0])
