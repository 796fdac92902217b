"""What the live table knows: bars, and how far each partition has been read, from the topics alone."""

import time
from collections import defaultdict, deque

import msgspec
from aiokafka.structs import ConsumerRecord
from msgspec import Struct, field

from tickertape.schemas.frame import Frame
from tickertape.schemas.topics import SIGNALS, SLICES, SOCIAL, TRADES
from tickertape.stream.console.added import Added
from tickertape.stream.console.takeover import Takeover
from tickertape.stream.kafka.partition import partition_for

# A rate is taken over so many seconds that are over.
RATE_SECONDS = 3
# More latencies than this are not held: the newest count.
LATENCIES = 200_000


class Bar(Struct):
    """Of a bar, what the table shows; see the topic ``bars``."""

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
    """Of what posts say of a symbol, what the table shows; see the topic ``social``."""

    symbol: str
    start_ms: int
    mentions: int
    sentiment: float | None
    final: bool
    revision: int


class Signal(Struct):
    """Of a signal, what is told of it; see the topic ``signals``."""

    rule: str
    symbol: str
    field: str
    value: float


class SymbolState(Struct):
    """A symbol's row.

    Attributes
    ----------
    partition
        Where its trades are.
    first, last
        The first and the last price that were seen.
    last_ms
        The last one's event time.
    seconds
        Its 1 s bars, by start, ms: whether final, revision and count.
    minute
        Its newest 1 min bar.
    talk
        What is said of it in the newest minute.
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
        """How many trades its 1 s bars hold."""
        return sum(count for _, _, count in self.seconds.values())

    def rate(self, now_ms: float) -> float:
        """Return its trades a second, over the last seconds that are over."""
        end_ms = int(now_ms) // 1000 * 1000
        starts = range(end_ms - 1000 * RATE_SECONDS, end_ms, 1000)
        return sum(self.seconds[start][2] for start in starts if start in self.seconds) / RATE_SECONDS


class PartitionState(Struct):
    """How far a partition of the input is read, by its newest frame.

    Attributes
    ----------
    upto
        The offset that it has been read to.
    watermark_ms
        The source's lane's; 0 before its first record.
    end
        Its log's end, when last asked.
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
        Whose.
    epoch
        Frames of another are not looked at.
    partitions
        How many partitions the feed keys by.
    since_ms
        Earlier bars are of an earlier run.
    added
        What metrics from elsewhere say, if there are any.

    Attributes
    ----------
    symbols, partitions
        By name, and by number.
    latencies_ms
        From a bar's last trade to when its provisional 1 s bar was read here; of bars of the second that it still was.
    takeover
        The one under way, or None.
    signals
        Those that have come and are not told yet, each once.
    """

    def __init__(self, source: str, epoch: str, partitions: int, since_ms: int, added: Added | None = None) -> None:
        self.added = added
        self._source = source
        self._epoch = epoch
        self._keyed_partitions = partitions
        self._since_ms = since_ms - since_ms % 1000
        self._decode_bar = msgspec.json.Decoder(Bar).decode
        self._decode_signal = msgspec.json.Decoder(Signal).decode
        self._decode_talk = msgspec.json.Decoder(Talk).decode
        self._decode_frame = msgspec.msgpack.Decoder(Frame).decode
        self._seconds, self._minutes = (f"|{source}|{width}|".encode() for width in ("1s", "1m"))
        self.symbols: dict[str, SymbolState] = {}
        self.partitions: dict[int, PartitionState] = defaultdict(PartitionState)
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES)
        self.takeover: Takeover | None = None
        self.signals: deque[Signal] = deque()
        self._told: set[bytes] = set()
        self._reads: deque[tuple[float, int]] = deque(maxlen=16)

    def add_records(self, records: list[ConsumerRecord]) -> None:
        """Take in what has been read just now."""
        now_ms = time.time() * 1000
        for record in records:
            if record.topic == SLICES.name:
                self._frame(self._decode_frame(record.value))
            elif record.topic == SIGNALS.name:
                # It comes again when it is final.
                if record.key not in self._told:
                    self._told.add(record.key)
                    self.signals.append(self._decode_signal(record.value))
            elif record.topic == SOCIAL.name:
                if self._minutes in record.key:
                    self._hear(self._decode_talk(record.value))
            elif self.added is not None and record.topic in self.added.topics:
                self.added.note(record)
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

    def _hear(self, talk: Talk) -> None:
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
        """Return whether so many partitions have an owner who has spoken."""
        return len(self.partitions) >= partitions

    def spread_over(self, partitions: int) -> None:
        """Hear that the feed keys by another number of partitions."""
        self._keyed_partitions = partitions
        for symbol, state in self.symbols.items():
            state.partition = partition_for(symbol, partitions)

    @property
    def busiest(self) -> list[str]:
        """Symbols by all their trades so far: an order that seldom changes, for rows that jump can't be read."""
        return sorted(self.symbols, key=lambda symbol: (-self.symbols[symbol].trades, symbol))

    @property
    def read(self) -> int:
        """How many records have been read, of all partitions, since their logs' beginning."""
        return sum(state.upto for state in self.partitions.values())

    @property
    def lag(self) -> int:
        return sum(state.lag for state in self.partitions.values())

    @property
    def trades(self) -> int:
        """How many trades the 1 s bars hold."""
        return sum(state.trades for state in self.symbols.values())

    @property
    def bars(self) -> int:
        """How many 1 s bars there are."""
        return sum(len(state.seconds) for state in self.symbols.values())

    def mark(self) -> None:
        """Remember how much has been read by now; to be called a few times a second, for `events_per_second`."""
        self._reads.append((time.monotonic(), self.read))

    @property
    def events_per_second(self) -> float:
        """Records read a second, over the last few seconds."""
        if len(self._reads) < 2:
            return 0.0
        (began, before), (ended, after) = self._reads[0], self._reads[-1]
        return (after - before) / max(ended - began, 1e-9)

    def watermark_age_seconds(self, partition: int) -> float | None:
        """Return how far behind the clock a partition's watermark is."""
        watermark_ms = self.partitions[partition].watermark_ms
        return max(0.0, time.time() - watermark_ms / 1000) if watermark_ms else None
