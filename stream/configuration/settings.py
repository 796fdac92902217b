"""Every setting, its default and its unit; read from ``tickertape.toml`` and ``TICKERTAPE_…`` in the environment."""

import os
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from tickertape.stream.configuration import aliases
from tickertape.stream.configuration.aliases import AliasTable
from tickertape.stream.configuration.connection import Connection, secret_from
from tickertape.stream.configuration.numbers import not_finite
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import is_folder

PREFIX = "TICKERTAPE_"
FILE = PREFIX + "CONFIG"
#: Read from the folder that a command runs in, where ``TICKERTAPE_CONFIG`` names no other.
USUAL_FILE = "tickertape.toml"
#: In the environment these are set entry by entry, each named by a topic, or by what else they say here.
TABLES = {"lateness_ms": "TOPIC", "partitions": "TOPIC", "resolutions": "KIND", "rolling_ms": "NAME"}

Whole = Annotated[int, Meta(ge=1)]
Ms = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]


class Settings(Connection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may set; how Kafka is reached is a `Connection`.

    ``TICKERTAPE_SKEW_MS=2000`` sets ``skew_ms``; ``TICKERTAPE_LATENESS_MS_TRADES=500`` sets one entry of
    ``lateness_ms``. The file ``tickertape.toml`` in the folder that a command runs in, or that ``TICKERTAPE_CONFIG``
    names, has the same names; paths in it are relative to it. The environment wins.

    Attributes
    ----------
    group
        The name of this pipeline; consumer groups carry it.
    agents
        Where agents are looked for: packages by their dotted names, folders (``./metrics``), and ``installed`` for what
        other distributions bring. `tickertape --agents DIR` adds a folder.
    slice_ms
        The width of a slice of event time.
    skew_ms
        A record whose event time is later than its receipt by more is rejected, and so is a heartbeat.
    most_sources
        For how many sources a partition has room. One that is behind by more than ``horizon_ms`` makes room for
        another; where there is none, records of one too many are rejected.
    lateness_ms
        By topic: how far behind its lane's watermark a slice stays open; a topic's agent has a default.
    idle_seconds
        A lane that has been silent for this long, its partition read to the end, holds finals back no longer.
    horizon_ms
        How far behind the others a lane's slices may come and still correct results.
    coalesce_ms
        The least time, under load, from when records came to when a worker fetches the next; where the work that they
        make is long it is half as long again, at most four times this. Less is sooner, and dearer.
    backlog_ms
        The least time between two flushes where a worker is behind by more than a block, with any partition: what comes
        out is old news then, and fewer flushes are faster.
    commit_seconds
        Between two checkpoints.
    snapshot_seconds
        Between two snapshots of a shard's windows, from which the next owner goes on; 0: none, it reads the frames of
        open windows again, up to an hour of them. What follows final bars, such as an EMA, is kept in snapshots alone.
    block_records, block_bytes
        The most that a block holds (a single larger record still makes one).
    partitions
        By topic: how many when it is created; the catalogue has defaults.
    session_seconds
        A worker that Kafka has not heard from for this long loses its partitions.
    resolutions
        By results: how wide their windows are, such as ``1s,1m,4h,1d`` for ``bars``; and by kind of what follows final
        bars, such as ``ema``: of which of them it is made. An agent's file has defaults.
    signals
        A TOML file of rules by which results are signals, see docs/signals.md; empty: none.
    rolling_ms
        The widths of windows that slide, by name; each is so many times the finest resolution.
    compression
        Of the records that workers and feeds produce: ``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
    fill
        True to publish a bar for each interval without trades once it is final (OHLC the last close, volume 0), from a
        symbol's first trade on that is read with it set.
    aliases
        The name of a TOML file that says what else posts call symbols, ``AAPL = ["apple", "iphone"]``; or a table of
        that name in the settings' own file. Written in lower case an alias is found in any, else as it is written.
    metrics_port, metrics_host
        Where a process serves /metrics; 0: a free port, and it says which; -1: nowhere. The workers of `up` have free
        ports of their own, which its /sd lists.
    log_format
        ``text``, or ``json``: an object a line.
    watch
        Symbols whose newest results are metrics too: with commas, BTC-USDT,ETH-USDT.
    feeds
        What is set of feeds, by whole name, as each feed declares it: ``coinbase_url``.
    feed_silence_seconds
        A live connection that brings nothing for this long is made anew.
    feed_ping_seconds
        Between two pings to a live source; one that isn't answered for as long ends the connection.
    feed_renew_seconds
        A live connection so old is replaced by another before it is closed; Binance ends each at 24 hours.
    feed_buffer_bytes
        How much of what a live source sends may wait while Kafka takes nothing; past it the oldest messages are dropped
        and counted, or, where the source can say them again, asked for again later.
    """

    group: str = "tickertape"
    agents: list[str] = field(default_factory=lambda: ["tickertape.agents", "installed"])
    slice_ms: Whole = 1000
    skew_ms: Ms = 5000
    most_sources: Annotated[int, Meta(ge=1, le=4096)] = 64
    lateness_ms: dict[str, Ms] = field(default_factory=dict)
    idle_seconds: Seconds = 30.0
    horizon_ms: Ms = 60_000
    coalesce_ms: Ms = 12
    backlog_ms: Ms = 250
    commit_seconds: Seconds = 1.0
    snapshot_seconds: Annotated[float, Meta(ge=0)] = 30.0
    block_records: Whole = 8192
    block_bytes: Whole = 1 << 20
    partitions: dict[str, Whole] = field(default_factory=dict)
    session_seconds: Seconds = 8.0
    resolutions: dict[str, list[str]] = field(default_factory=dict)
    signals: str = ""
    rolling_ms: dict[str, Whole] = field(default_factory=lambda: {"10s": 10_000, "1m": 60_000, "5m": 300_000})
    compression: str = "none"
    fill: bool = False
    aliases: AliasTable = field(default_factory=dict)
    metrics_port: Annotated[int, Meta(ge=-1, le=65_535)] = 0
    metrics_host: str = "127.0.0.1"
    log_format: Literal["text", "json"] = "text"
    watch: list[str] = field(default_factory=list)
    feeds: dict[str, str] = field(default_factory=dict)
    feed_silence_seconds: Seconds = 60.0
    feed_ping_seconds: Seconds = 20.0
    feed_renew_seconds: Seconds = 23 * 3600.0
    feed_buffer_bytes: Whole = 64 << 20

    @property
    def consumer_group(self) -> str:
        """The group's name at Kafka: another epoch reads the log anew."""
        return f"{self.group}-{self.epoch}"

    @property
    def epoch(self) -> str:
        """What the meaning of a slice hangs on; another value starts a new epoch, never a mix."""
        epoch = f"{self.slice_ms}-{self.skew_ms}"
        if not self.aliases:
            return epoch
        table = sorted((symbol, sorted(names)) for symbol, names in self.aliases.items())
        return f"{epoch}-{blake2b(msgspec.json.encode(table), digest_size=4).hexdigest()}"

    def the_broker(self) -> str:
        """Return where Kafka is, for what needs one that runs.

        Raises
        ------
        ConfigError
            None is set.
        """
        if not self.broker:
            raise ConfigError(
                "no broker is set: `tickertape kafka` runs one; name it with --broker or TICKERTAPE_BROKER"
            )
        return self.broker


def _none(_: Sequence[str]) -> Collection[str]:
    return ()


def load(
    environ: Mapping[str, str] | None = None,
    *,
    declared: Callable[[Sequence[str]], Collection[str]] = _none,
    **overrides: Any,
) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environ
        The environment; the process's own by default.
    declared
        Takes the setting ``agents``, and returns the names of what can be set of the feeds there.
    **overrides
        What the command line gave; None means not given. ``more_agents`` are added to ``agents``.

    Raises
    ------
    ConfigError
        A setting is unknown, or its value is of the wrong kind or out of range.
    """
    environ = os.environ if environ is None else environ
    file = environ.get(FILE) or (USUAL_FILE if Path(USUAL_FILE).is_file() else "")
    values = _from_file(file) if file else {}
    unknown = _read_environment(environ, values)
    added = overrides.pop("more_agents", None) or ()
    values |= {name: value for name, value in overrides.items() if value is not None}
    if added:
        values["agents"] = [*values.get("agents", Settings().agents), *added]
    places = {name: f"{PREFIX}{name.upper()}" for name in unknown}
    for name in sorted(values.keys() - set(Settings.__struct_fields__) | values.keys() & {"feeds"}):
        unknown.setdefault(name, str(values.pop(name)))
        places.setdefault(name, f"settings' file {file}: {name}")
    if unknown:
        known = declared(values.get("agents", Settings().agents))
        for name, place in places.items():
            if name not in known:
                raise ConfigError(f"{place}: no such setting; see `tickertape settings`")
        values["feeds"] = unknown
    if isinstance(named := values.get("aliases"), str):
        values["aliases"] = aliases.read(named) if named else {}
    try:
        found = msgspec.convert(values, Settings, strict=False, dec_hook=secret_from)
    except msgspec.ValidationError as error:
        raise ConfigError(f"setting: {error}; see `tickertape settings`") from None
    for name in not_finite(found):
        raise ConfigError(f"setting: {name} is no finite number; see `tickertape settings`")
    return found


def _from_file(path: str) -> dict[str, Any]:
    """Read a file; paths in it are relative to its folder."""
    try:
        values = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"settings' file {path}: {error}") from None
    folder = Path(path).resolve().parent
    if isinstance(places := values.get("agents"), list):
        values["agents"] = [str(folder / at) if isinstance(at, str) and is_folder(at) else at for at in places]
    for name in ("signals", "aliases"):
        if isinstance(named := values.get(name), str) and named:
            values[name] = str(folder / named)
    return values


def _read_environment(environ: Mapping[str, str], values: dict[str, Any]) -> dict[str, str]:
    """Add what the environment sets; return what isn't ours, by its name in small letters."""
    unknown = {}
    names = {f.name: f for f in msgspec.structs.fields(Settings)}
    lists = [name for name, f in names.items() if f.type in (list[str], dict[str, list[str]])]
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key == FILE:
            continue
        name = key.removeprefix(PREFIX).lower()
        table = next((t for t in TABLES if name.startswith(t + "_")), None)
        if table:
            # A topic's name has no capitals and no underscores.
            entry = name.removeprefix(table + "_").replace("_", "-")
            values[table] = values.get(table, {}) | {entry: _parts(text) if table in lists else text}
        elif name in names and name != "feeds":
            values[name] = _parts(text) if name in lists else text
        else:
            unknown[name] = text
    return unknown


def _parts(text: str) -> list[str]:
    return [part for part in text.split(",") if part]
