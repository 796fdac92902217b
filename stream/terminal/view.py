"""The state behind the live table: bars, and how far each partition has been read, taken from the topics alone."""

import time
from collections import defaultdict, deque

import msgspec
from aiokafka.structs import ConsumerRecord
from msgspec import Struct, field

from tickertape.schemas.frame import Frame, frames_in
from tickertape.schemas.topics import SIGNALS, SLICES, SOCIAL, TRADES
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.terminal.own_metrics import OwnMetrics
from tickertape.stream.terminal.takeover import Takeover

# A symbol's rate is averaged over this many full seconds.
RATE_SECONDS = 3
# The number of latencies that are kept, the newest.
LATENCIES = 200_000


class Bar(Struct):
    """The fields of a bar that the table needs; see the topic ``bars``."""

    symbol: str
    start_ms: int
    open: float
    close: float
    close_ms: int
    volume: float
    vwap: float
    count: int
    final: bool
    revision: int


class Talk(Struct):
    """The fields of a result on posts that the table needs; see the topic ``social``."""

    symbol: str
    start_ms: int
    mentions: int
    sentiment: float | None
    final: bool
    revision: int


class Signal(Struct):
    """The fields of a signal that are shown; see the topic ``signals``."""

    rule: str
    symbol: str
    field: str
    value: float


class SymbolState(Struct):
    """The state of a symbol.

    Attributes
    ----------
    partition
        The partition of its trades.
    first, last
        The first and the last price seen.
    last_ms
        The event time of the last price.
    seconds
        For each of its 1 s bars, by start in ms: whether it is final, its revision and its count.
    minute
        Its newest 1 min bar.
    talk
        Its newest result on posts over a minute.
    """

    partition: int
    first: float
    last: float
    last_ms: int = 0
    seconds: dict[int, tuple[bool, int, int]] = field(default_factory=dict)
    minute: Bar | None = None
    talk: Talk | None = None

    @property
    def change(self) -> float:
        """The last price's change since the first, as a share."""
        return self.last / self.first - 1

    @property
    def trades(self) -> int:
        """The number of trades in its 1 s bars."""
        return sum(count for _, _, count in self.seconds.values())

    def rate(self, now_ms: float) -> float:
        """Return its trades per second, averaged over the last full seconds."""
        end_ms = int(now_ms) // 1000 * 1000
        starts = range(end_ms - 1000 * RATE_SECONDS, end_ms, 1000)
        return sum(self.seconds[start][2] for start in starts if start in self.seconds) / RATE_SECONDS


class PartitionState(Struct):
    """How far a partition of the input has been read, as its newest frame reports.

    Attributes
    ----------
    upto
        The offset after the last record read.
    watermark_ms
        The watermark of the source's lane; 0 before its first record.
    end
        The end of its log when it was last queried.
    """

    upto: int = 0
    watermark_ms: int = 0
    end: int = 0

    @property
    def lag(self) -> int:
        return max(0, self.end - self.upto)


class View:
    """The state of one source's bars and partitions.

    Parameters
    ----------
    source
        The source's name.
    epoch
        The workers' epoch; frames of other epochs are ignored.
    partitions
        The number of partitions to which the feed publishes.
    since_ms
        The start of the run in ms; earlier bars are ignored.
    own_metrics
        The results of the user's own metrics. None: they are not shown.

    Attributes
    ----------
    symbols, partitions
        The states of the symbols by name, and of the partitions by number.
    latencies_ms
        The times from a bar's last trade until its provisional 1 s bar was read, for bars read within their second.
    takeover
        The takeover under way, or None.
    signals
        Signals that have not been shown yet, each once.
    """

    def __init__(
        self, source: str, epoch: str, partitions: int, since_ms: int, own_metrics: OwnMetrics | None = None
    ) -> None:
        self.own_metrics = own_metrics
        self._source = source
        self._epoch = epoch
        self._keyed_partitions = partitions
        self._since_ms = since_ms - since_ms % 1000
        self._decode_bar = msgspec.json.Decoder(Bar).decode
        self._decode_signal = msgspec.json.Decoder(Signal).decode
        self._decode_talk = msgspec.json.Decoder(Talk).decode
        self._seconds, self._minutes = (f"|{source}|{width}|".encode() for width in ("1s", "1m"))
        self.symbols: dict[str, SymbolState] = {}
        self.partitions: dict[int, PartitionState] = defaultdict(PartitionState)
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES)
        self.takeover: Takeover | None = None
        self.signals: deque[Signal] = deque()
        self._signal_keys: set[bytes] = set()
        self._reads: deque[tuple[float, int]] = deque(maxlen=16)

    def add_records(self, records: list[ConsumerRecord]) -> None:
        """Update the state with records that were just read."""
        now_ms = time.time() * 1000
        for record in records:
            if record.topic == SLICES.name:
                for frame in frames_in(record.value):
                    self._frame(frame)
            elif record.topic == SIGNALS.name:
                # A signal is published again when it is final.
                if record.key not in self._signal_keys:
                    self._signal_keys.add(record.key)
                    self.signals.append(self._decode_signal(record.value))
            elif record.topic == SOCIAL.name:
                if self._minutes in record.key:
                    self._add_talk(self._decode_talk(record.value))
            elif self.own_metrics is not None and record.topic in self.own_metrics.topics:
                self.own_metrics.note(record)
            elif self._seconds in record.key:
                self._second(self._decode_bar(record.value), now_ms)
            elif self._minutes in record.key:
                self._minute(self._decode_bar(record.value))

    def _frame(self, frame: Frame) -> None:
        if frame.topic != TRADES.name or frame.epoch != self._epoch:
            return
        state = self.partitions[frame.partition]
        if frame.upto >= state.upto:
            state.upto = frame.upto
            watermarks = [lane.watermark_ms for lane in frame.lanes if lane.source == self._source]
            state.watermark_ms = max([state.watermark_ms, *watermarks])

    def _second(self, bar: Bar, now_ms: float) -> None:
        if bar.start_ms < self._since_ms:
            return
        state = self._symbol(bar)
        final, revision, _ = state.seconds.get(bar.start_ms, (False, -1, 0))
        if (bar.final, bar.revision) >= (final, revision):
            state.seconds[bar.start_ms] = bar.final, bar.revision, bar.count
        if bar.close_ms > state.last_ms:
            state.last, state.last_ms = bar.close, bar.close_ms
            if not bar.final and now_ms < bar.start_ms + 1000:
                self.latencies_ms.append(now_ms - bar.close_ms)
            if self.takeover is not None:
                self.takeover.note_bar(bar.symbol, bar.close_ms, now_ms)

    def _minute(self, bar: Bar) -> None:
        state = self._symbol(bar)
        known = state.minute
        if known is None or (bar.start_ms, bar.final, bar.revision) > (known.start_ms, known.final, known.revision):
            state.minute = bar

    def _add_talk(self, talk: Talk) -> None:
        state = self.symbols.get(talk.symbol)
        if state is None:
            return
        known = state.talk
        if known is None or (talk.start_ms, talk.final, talk.revision) > (known.start_ms, known.final, known.revision):
            state.talk = talk

    def _symbol(self, bar: Bar) -> SymbolState:
        state = self.symbols.get(bar.symbol)
        if state is None:
            partition = partition_for(bar.symbol, self._keyed_partitions)
            state = self.symbols[bar.symbol] = SymbolState(partition, bar.open, bar.close)
        return state

    def is_live(self, partitions: int) -> bool:
        """Return whether frames of at least this many partitions have been read."""
        return len(self.partitions) >= partitions

    def spread_over(self, partitions: int) -> None:
        """Assign each symbol to its partition among another number of partitions."""
        self._keyed_partitions = partitions
        for symbol, state in self.symbols.items():
            state.partition = partition_for(symbol, partitions)

    @property
    def busiest(self) -> list[str]:
        """The symbols, most trades first. Rows stay readable, as the order by all trades so far seldom changes."""
        return sorted(self.symbols, key=lambda symbol: (-self.symbols[symbol].trades, symbol))

    @property
    def read(self) -> int:
        """The number of records read in all partitions since the beginning of their logs."""
        return sum(state.upto for state in self.partitions.values())

    @property
    def lag(self) -> int:
        return sum(state.lag for state in self.partitions.values())

    @property
    def trades(self) -> int:
        """The number of trades in all 1 s bars."""
        return sum(state.trades for state in self.symbols.values())

    @property
    def bars(self) -> int:
        """The number of 1 s bars."""
        return sum(len(state.seconds) for state in self.symbols.values())

    def mark(self) -> None:
        """Store how much has been read so far, for `events_per_second`; call this a few times per second."""
        self._reads.append((time.monotonic(), self.read))

    @property
    def events_per_second(self) -> float:
        """Records read per second, over the last few seconds."""
        if len(self._reads) < 2:
            return 0.0
        (began, before), (ended, after) = self._reads[0], self._reads[-1]
        return (after - before) / max(ended - began, 1e-9)

    def watermark_age_seconds(self, partition: int) -> float | None:
        """Return how far a partition's watermark is behind the clock; None before its first record."""
        watermark_ms = self.partitions[partition].watermark_ms
        return max(0.0, time.time() - watermark_ms / 1000) if watermark_ms else None
