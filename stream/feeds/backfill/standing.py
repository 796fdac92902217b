"""How far a source is in the log: by what is stored on ``control``, by workers' commits, and by the log itself."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.types import TP
from msgspec import Struct

from tickertape.schemas.checkpoint import reference_in, slices_from
from tickertape.schemas.control import Past
from tickertape.schemas.fields import Id, TextId
from tickertape.schemas.heartbeat import from_headers
from tickertape.schemas.topics import TRADES
from tickertape.stream.bundles.unpacking import BadBundle, Unpacked, header_of
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.admin.client import commits, connected
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.stores.control import Control
from tickertape.stream.kafka.stores.states import find

# How many of the newest records of each partition are looked at: a live source sends a heartbeat a second to each.
TAIL_RECORDS = 500
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadBundle)


class _Trade(Struct, gc=False):
    symbol: str
    source: str
    id: Id | TextId
    time_ms: int
    last_id: Id | None = None


_decode = msgspec.json.Decoder(_Trade).decode

#: By symbol: the first and last number and the time of each trade.
Numbers = dict[str, list[tuple[int, int, int]]]


async def newest_ms(settings: Settings, control: Control, source: str) -> int:
    """Return the newest event time that a source has in the log of trades, ms; 0 if none is known.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    times = [time_ms for _, time_ms in control.complete(source).values()]
    times += await _committed(settings, source)
    async with Reader(settings, [TRADES.name], from_beginning=True) as reader:
        ends = await reader.ends()
        await reader.skip({part: max(end - TAIL_RECORDS, 0) for part, end in ends.items()})
        async for record in _until(reader, ends):
            beat = _heartbeat(record)
            if beat is not None and beat[0] == source:
                times.append(beat[1])
            times += [trade.time_ms for trade in _trades(record) if trade.source == source]
    return max(times, default=0)


async def numbers(settings: Settings, source: str, offsets: Sequence[int]) -> Numbers:
    """Return the trades of a source that the log has from some offsets on.

    Parameters
    ----------
    settings
        How to reach Kafka.
    source
        The source.
    offsets
        By partition. A partition that was added since is read from its beginning.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or has deleted some of it.
    """
    found: Numbers = defaultdict(list)
    async with Reader(settings, [TRADES.name], from_beginning=True) as reader:
        ends, begins = await reader.ends(), await reader.begins()
        start = {part: offsets[part.partition] if part.partition < len(offsets) else 0 for part in ends}
        for part, offset in start.items():
            if not begins[part] <= offset <= ends[part]:
                raise BrokerError(
                    f"{part.topic}, partition {part.partition}: offset {offset}, up to which past trades of {source} "
                    f"are known, isn't in the log any more; send them under another name with --as"
                )
        await reader.skip(start)
        async for record in _until(reader, ends):
            for trade in _trades(record):
                if trade.source == source and isinstance(trade.id, int):
                    last = trade.id if trade.last_id is None else trade.last_id
                    found[trade.symbol].append((trade.id, last, trade.time_ms))
    return found


async def ends(settings: Settings) -> list[int]:
    """Return the end of the log of each partition of the topic of trades."""
    async with Reader(settings, [TRADES.name], from_beginning=False) as reader:
        found = await reader.ends()
    return [found[TopicPartition(TRADES.name, n)] for n in range(len(found))]


def moved(past: Past, complete: Mapping[str, tuple[int, int]]) -> str | None:
    """Return a symbol whose trades another feed has sent since; None if there is none."""
    for symbol, (number, _) in complete.items():
        if number > past.complete.get(symbol, (-1, 0))[0]:
            return symbol
    return None


async def _committed(settings: Settings, source: str) -> list[int]:
    """Return how far workers have read a source, by partition."""
    with connected(settings) as admin:
        found = commits(admin, settings, settings.consumer_group)
    texts = {
        TP(part.topic, part.partition): one.metadata or "" for part, one in found.items() if part.topic == TRADES.name
    }
    references = {tp: where for tp, text in texts.items() if (where := reference_in(text)) is not None}
    texts |= await find(settings, references)
    checkpoints = [one for text in texts.values() if (one := slices_from(text)) is not None]
    return [lane.watermark_ms for one in checkpoints for lane in one.lanes if lane.source == source]


async def _until(reader: Reader, ends: Mapping[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    while not await reader.has_read(dict(ends)):
        for record in await reader.read():
            yield record


def _heartbeat(record: ConsumerRecord) -> tuple[str, int] | None:
    if record.value is not None:
        return None
    try:
        found = from_headers(record.headers)
    except _UNREADABLE:
        return None
    return None if found is None else (found.source, found.time_ms)


def _trades(record: ConsumerRecord) -> list[_Trade]:
    """Return the trades of a record; none of one that can't be read, which no worker counts either."""
    if record.value is None:
        return []
    try:
        header = header_of(record.headers)
        lines = [record.value] if header is None else Unpacked(record.value, header.events).texts
        return [_decode(line) for line in lines]
    except _UNREADABLE:
        return []
