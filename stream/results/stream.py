"""Results as they come, as Structs: only newer ones, and a final that is corrected again, marked."""

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

#: Event time: a point in time, how long ago, or ms since 1970 UTC.
Since: TypeAlias = datetime | timedelta | int

#: Stands for every kind, on a topic whose kinds are named by rules.
ANY = "*"
# A worker that was replaced may still write for as long after its successor.
STRAGGLER_MS = 120_000


class Kind(NamedTuple):
    """One kind of results on a topic."""

    output: Output
    #: Makes its Struct with a field ``corrected``.
    decode: Any


class Found(NamedTuple):
    """A result that is newer than what was known."""

    series: bytes
    start_ms: int
    kind: Kind
    result: Any


class Results:
    """Iterates over the results of a topic: ``async for bar in tickertape.results("bars")``.

    Of each result the highest (final, revision) holds. A record that isn't higher than what has been seen of its
    result is passed over; so is a provisional one where a newer one is at hand. A final result that is corrected comes
    again, with ``corrected`` true.

    Parameters
    ----------
    topic
        Where results are: ``bars``, ``rolling``, ``social`` or another sink.
    settings
        The pipeline's; they name the broker and the agents, whose Structs the results are.
    symbols, sources, resolutions, kinds
        Only results of these; None: all. ``sources=["all"]`` is the one over all sources.
    finals
        Only results that are final.
    since
        Also results whose windows begin at this event time or later; None: what comes from now on.
    position
        Go on from here, an earlier `position`; then ``since`` isn't used.

    Raises
    ------
    ConfigError
        No results go to that topic; or no broker is set.

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
        #: What is read, by kind.
        self.kinds = {name: kind for name, kind in known.items() if kinds is None or name in kinds}
        self._wanted = symbols, sources, resolutions
        _check_known(topic, "resolutions", resolutions, list(self._widths))
        self._finals = finals
        self._since_ms = None if since is None else since_ms(since)
        self._position = dict(position or {})
        self._resumes = position is not None

    @property
    def position(self) -> dict[int, int]:
        """By partition: the offset to go on from, after what has been yielded."""
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
        """Read what the topic holds now; return of each result the newest, in no order."""
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
        """Go to where to read from; return from where on, by partition, results are yielded."""
        if self._resumes:
            wanted = {TopicPartition(self.topic, number): offset for number, offset in self._position.items()}
            # What was seen before decides whether a record is newer, so a little of it is read again.
            await reader.skip(await reader.before(wanted, self._settings.horizon_ms + STRAGGLER_MS))
            return dict(self._position)
        if self._since_ms is not None:
            # A result comes after its window began, by the broker's clock, which may be behind the events' by the skew.
            await reader.skip(await reader.offsets_at(self._since_ms - self._settings.skew_ms))
        self._position = {tp.partition: offset for tp, offset in (await reader.positions()).items()}
        return dict(self._position)

    def _judged(self, record: ConsumerRecord, newest: Newest) -> "Found | None":
        """Return what a record holds; None where it isn't wanted, isn't newer, or isn't what agents make."""
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
        """Return series, start, width and kind by a record's key; None where it isn't wanted."""
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
    """Return the results of a topic, as they come.

    Parameters
    ----------
    topic
        Where results are: ``bars``, ``rolling``, ``social`` or another sink.
    broker
        Where Kafka is; by default as ``TICKERTAPE_BROKER`` or ``tickertape.toml`` says.
    settings
        The pipeline's, in place of those of the environment and the file.
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
    """Return the settings that are given, or those of the environment and the file; and the broker that is given."""
    if settings is None:
        return load(broker=broker)
    return settings if broker is None else replace(settings, broker=broker)


def since_ms(since: Since) -> int:
    """Return a time as ms since 1970 UTC.

    Raises
    ------
    ConfigError
        It is a datetime without a time zone.
    """
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ConfigError(f"since: {since!r} has no time zone; give it one, such as datetime.UTC")
        return int(since.timestamp() * 1000)
    if isinstance(since, timedelta):
        return int((time() - since.total_seconds()) * 1000)
    return since


def kinds_of(topic: str, settings: Settings) -> tuple[dict[str, Kind], dict[str, int]]:
    """Return what results go to a topic, by kind, and the widths of resolutions in ms.

    Raises
    ------
    ConfigError
        None do.
    """
    agents = configured(settings)
    outputs = outputs_of(agents.windowings, agents.recipes, settings)
    kinds = {output.kind: _kind(output) for output in outputs if output.sink == topic}
    for recipe in agents.recipes:
        if isinstance(recipe, Signals) and recipe.sink.name == topic:
            # Rules are named where workers run; a reader needn't have their file.
            kinds = {ANY: _kind(Output(topic, ANY, recipe.result))}
    if not kinds:
        raise ConfigError(f"{topic}: no results go there; there are {', '.join(sorted({one.sink for one in outputs}))}")
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
