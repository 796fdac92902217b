"""Iterate over results as Structs: only newer records are yielded, and corrections of finals are marked."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from time import time
from typing import Any, NamedTuple, TypeAlias

import msgspec
from aiokafka.structs import ConsumerRecord, TopicPartition
from msgspec.structs import force_setattr, replace

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Signals
from tickertape.stream.engine.derived.derived import outputs_of
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.registry import load
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.results.newest import Newest, Verdict

#: An event time: a point in time, a duration before now, or ms since 1970 UTC.
Since: TypeAlias = datetime | timedelta | int

#: Stands for every kind on a topic whose kinds are the names of rules.
ANY = "*"
# A zombie may still write for so long after its successor started.
STRAGGLER_MS = 120_000


class Kind(NamedTuple):
    """One kind of results on a topic."""

    output: Output
    #: Decodes its Struct, with an additional field ``corrected``.
    decode: Any


class Found(NamedTuple):
    """A result that is newer than the known one."""

    series: bytes
    start_ms: int
    kind: Kind
    result: Any


class Results:
    """Iterates over the results of a topic: ``async for bar in tickertape.results("bars")``.

    The record with the highest (final, revision) of a result counts. A record is skipped unless it is higher than those
    seen of its result. If a final result is corrected, it is yielded again with ``corrected`` true.

    Parameters
    ----------
    topic
        The topic: ``bars``, ``rolling``, ``social`` or another sink.
    settings
        The pipeline's settings, with the broker and the agents whose Structs the results are.
    symbols, sources, resolutions, kinds
        Only results of these. None: all. ``sources=["all"]`` selects the windows over all sources.
    finals
        True for final results only.
    since
        Begin with results whose windows start at this event time or later. None: with what is published from now on.
    position
        Resume from an earlier `position`; ``since`` is then ignored.

    Raises
    ------
    ConfigError
        No results are published to that topic, a filter names something that it doesn't have, or no broker is set.
    """

    def __init__(
        self,
        topic: str,
        *,
        settings: Settings,
        symbols: Collection[str] | None = None,
        sources: Collection[str] | None = None,
        resolutions: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
        finals: bool = False,
        since: Since | None = None,
        position: Mapping[int, int] | None = None,
    ) -> None:
        settings.the_broker()
        self.topic = topic
        self._settings = settings
        known, self._widths = kinds_of(topic, settings)
        if ANY in known and kinds is not None:
            known = dict.fromkeys(kinds, known[ANY])
        _check_known(topic, "kinds", kinds, [kind for kind in known if kind])
        #: The kinds that are read, by name.
        self.kinds = {name: kind for name, kind in known.items() if kinds is None or name in kinds}
        self._wanted = symbols, sources, resolutions
        _check_known(topic, "resolutions", resolutions, list(self._widths))
        self._finals = finals
        self._since_ms = None if since is None else since_ms(since)
        self._position = dict(position or {})
        self._resumes = position is not None

    @property
    def position(self) -> dict[int, int]:
        """The offsets after the last record handled, by partition; pass them as `position` to resume."""
        return dict(self._position)

    async def __aiter__(self) -> AsyncIterator[Any]:
        newest = Newest(self._settings.horizon_ms)
        async with Reader(self._settings, [self.topic], from_beginning=self._resumes) as reader:
            start = await self._begin(reader)
            while True:
                for record in await reader.read():
                    found = self._judged(record, newest)
                    if record.offset < start.get(record.partition, 0):
                        continue
                    self._position[record.partition] = record.offset + 1
                    if found is not None:
                        yield found.result

    async def held(self) -> list["Found"]:
        """Read the topic to its present end, and return the newest record of each result, unordered."""
        newest = Newest(self._settings.horizon_ms)
        held: dict[tuple[bytes, int], Found] = {}
        async with Reader(self._settings, [self.topic], from_beginning=True) as reader:
            ends = await reader.ends()
            await self._begin(reader)
            while True:
                for record in await reader.read():
                    if (found := self._judged(record, newest)) is not None:
                        held[found.series, found.start_ms] = found
                if await reader.has_read(ends):
                    return list(held.values())

    async def _begin(self, reader: Reader) -> dict[int, int]:
        """Move to the first record to read, and return, by partition, the first offset to yield from."""
        if self._resumes:
            wanted = {TopicPartition(self.topic, number): offset for number, offset in self._position.items()}
            # Whether a record is newer depends on earlier ones, so the latest of these are read again.
            await reader.skip(await reader.before(wanted, self._settings.horizon_ms + STRAGGLER_MS))
            return dict(self._position)
        if self._since_ms is not None:
            # A result is appended after its window began. The broker's clock may be behind event time by the skew.
            await reader.skip(await reader.offsets_at(self._since_ms - self._settings.skew_ms))
        self._position = {tp.partition: offset for tp, offset in (await reader.positions()).items()}
        return dict(self._position)

    def _judged(self, record: ConsumerRecord, newest: Newest) -> "Found | None":
        """Decode a record; None if it is filtered out, is not newer, or is not a valid result."""
        if (found := self._named(record)) is None:
            return None
        series, start_ms, width_ms, kind = found
        try:
            result = kind.decode(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if self._finals and not result.final:
            return None
        verdict = newest.judge(series, start_ms, width_ms, final=result.final, revision=result.revision)
        if verdict is Verdict.CORRECTED:
            force_setattr(result, "corrected", True)
        return None if verdict is Verdict.OLD else Found(series, start_ms, kind, result)

    def _named(self, record: ConsumerRecord) -> tuple[bytes, int, int, Kind] | None:
        """Return series, start, width and kind from a record's key; None if the filters exclude it."""
        parts = (record.key or b"").decode(errors="replace").split("|")
        if len(parts) not in (4, 5) or not parts[3].lstrip("-").isdigit():
            return None
        symbol, source, resolution, start, name = (*parts, "")[:5]
        for value, wanted in zip((symbol, source, resolution), self._wanted, strict=True):
            if wanted is not None and value not in wanted:
                return None
        kind, start_ms = self.kinds.get(name) or self.kinds.get(ANY), int(start)
        if kind is None or resolution not in self._widths:
            return None
        if not self._resumes and self._since_ms is not None and start_ms < self._since_ms:
            return None
        series = "|".join((symbol, source, resolution, name)).encode()
        return series, start_ms, self._widths[resolution], kind


def results(topic: str, *, broker: str | None = None, settings: Settings | None = None, **wanted: Any) -> Results:
    """Return an iterator over the results of a topic, as they are published.

    Parameters
    ----------
    topic
        The topic: ``bars``, ``rolling``, ``social`` or another sink.
    broker
        Kafka's address. None: as set by ``TICKERTAPE_BROKER`` or ``tickertape.toml``.
    settings
        The pipeline's settings. None: those of the environment and ``tickertape.toml``.
    **wanted
        ``symbols``, ``sources``, ``resolutions``, ``kinds``, ``finals``, ``since``, ``position``: see `Results`.

    Examples
    --------
    >>> import tickertape
    >>> async def watch() -> None:
    ...     async for bar in tickertape.results("bars", symbols=["BTC-USD"], finals=True):
    ...         print(bar.resolution, bar.start_ms, bar.close)
    """
    return Results(topic, settings=settings_for(broker, settings), **wanted)


def settings_for(broker: str | None, settings: Settings | None) -> Settings:
    """Return the given settings, or else those of the environment and the file, with the given broker."""
    if settings is None:
        return load(broker=broker)
    return settings if broker is None else replace(settings, broker=broker)


def since_ms(since: Since) -> int:
    """Return a time as ms since 1970 UTC.

    Raises
    ------
    ConfigError
        The time is a datetime without a time zone.
    """
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ConfigError(f"since: {since!r} has no time zone; give it one, for example datetime.UTC")
        return int(since.timestamp() * 1000)
    if isinstance(since, timedelta):
        return int((time() - since.total_seconds()) * 1000)
    return since


def kinds_of(topic: str, settings: Settings) -> tuple[dict[str, Kind], dict[str, int]]:
    """Return the kinds of results on a topic, by name, and the widths of the resolutions in ms.

    Raises
    ------
    ConfigError
        No results are published to that topic.
    """
    agents = configured(settings)
    outputs = outputs_of(agents.windowings, agents.recipes, settings)
    kinds = {output.kind: _kind(output) for output in outputs if output.sink == topic}
    for recipe in agents.recipes:
        if isinstance(recipe, Signals) and recipe.sink.name == topic:
            # The file of rules is needed where workers run; a reader accepts any rule's name.
            kinds = {ANY: _kind(Output(topic, ANY, recipe.result))}
    if not kinds:
        raise ConfigError(f"{topic}: not a sink; choose one of {', '.join(sorted({one.sink for one in outputs}))}")
    return kinds, {name: ms for one in agents.windowings for name, ms in one.resolutions.items()}


def _kind(output: Output) -> Kind:
    struct = output.result
    record = msgspec.defstruct(
        struct.__name__, [("corrected", bool, False)], bases=(struct,), tag=struct.__struct_config__.tag, kw_only=True
    )
    record.__doc__ = struct.__doc__
    return Kind(output, msgspec.json.Decoder(record).decode)


def _check_known(topic: str, name: str, wanted: Collection[str] | None, known: Sequence[str]) -> None:
    for value in wanted or ():
        if value not in known:
            raise ConfigError(f"{name}: {topic} has no {value}; it has {', '.join(known) or 'none'}")
