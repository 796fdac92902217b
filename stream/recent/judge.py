"""Find in the records of a sink those that are newer than what is known of their results."""

from msgspec import MsgspecError, json

from tickertape.stream.engine.core.block import Block
from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.sinks import Sink
from tickertape.stream.results.newest import Newest, Verdict

#: The results of windows, in the order of their records.
Changes = dict[tuple[Series, int], Held]


class Judge:
    """Knows the highest (final, revision) of each result of one sink for as long as it may be corrected.

    Parameters
    ----------
    sink
        The sink whose records it is shown.
    horizon_ms
        How far back in event time a correction may reach.
    most_series
        The number of series that it takes in. Results of further ones are left out, and counted.
    selection
        Only results of these series. None: all.

    Attributes
    ----------
    unreadable
        The number of records that are no results of this sink.
    left_out
        The number of results of series beyond ``most_series``.
    """

    def __init__(self, sink: Sink, horizon_ms: int, most_series: int, selection: Selection | None = None) -> None:
        self._sink = sink
        self._selection = selection
        self._newest = Newest(horizon_ms)
        self._most_series = most_series
        # By symbol, source, resolution and kind: the series with the width of its windows; None if it isn't selected.
        self._series: dict[tuple[str, str, str, str], tuple[Series, int] | None] = {}
        self.unreadable = 0
        self.left_out = 0

    @property
    def series(self) -> list[Series]:
        """The series that have been seen."""
        return [of[0] for of in self._series.values() if of is not None]

    def judge(self, block: Block, found: Changes) -> None:
        """Add to what has been found the newest record of each result that a block brings news of, in their order."""
        decode, known, verdict_on, partition = self._sink.head, self._series, self._newest.judge, block.partition
        for value, offset, appended_ms in zip(
            block.values, block.offsets.tolist(), block.appended_ms.tolist(), strict=True
        ):
            try:
                head = decode(value)
            except (MsgspecError, UnicodeDecodeError, TypeError):
                self.unreadable += 1
                continue
            named = head.symbol, head.source, head.resolution, head.kind
            of = known[named] if named in known else self._met(named)
            if of is None:
                continue
            series, width_ms = of
            start_ms = head.start_ms
            verdict = verdict_on(series, start_ms, width_ms, final=head.final, revision=head.revision)
            if verdict is Verdict.OLD:
                continue
            line = _on_one_line(value)
            if line is None:
                self.unreadable += 1
                continue
            result = series, start_ms
            before = found.pop(result, None)
            corrected = verdict is Verdict.CORRECTED or (before is not None and before.corrected)
            found[result] = Held(
                series, start_ms, head.final, head.revision, corrected, line, partition, offset, appended_ms
            )

    def _met(self, named: tuple[str, str, str, str]) -> tuple[Series, int] | None:
        width_ms = self._sink.width_ms(named[3], named[2])
        if width_ms is None:
            self.unreadable += 1
            return None
        if len(self._series) >= self._most_series:
            self.left_out += 1
            return None
        series = Series(*named)
        selected = self._selection is None or self._selection.has(series)
        of = self._series[named] = (series, width_ms) if selected else None
        return of


def _on_one_line(value: bytes | None) -> bytes | None:
    """Return an object's JSON without line ends and space around it; None if it isn't UTF-8."""
    if value is None:
        return None
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            return None
    if value[-1:] != b"}" or b"\n" in value or b"\r" in value:
        return json.format(value, indent=-1)
    return value
