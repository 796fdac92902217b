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
    """Everything that can be set; `Connection` has the part about reaching Kafka.

    ``TICKERTAPE_SKEW_MS=2000`` sets ``skew_ms``; ``TICKERTAPE_LATENESS_MS_TRADES=500`` sets one entry of
    ``lateness_ms``. The file ``tickertape.toml`` in the folder that a command runs in, or that ``TICKERTAPE_CONFIG``
    names, has the same names; paths in it are relative to it. The environment wins.

    Attributes
    ----------
    group
        The pipeline's name. Its workers share the consumer group of that name; another name reads all input anew.
    agents
        Where metrics, feeds and formats are found: dotted names of packages, folders (``./metrics``), and
        ``installed`` for what other distributions bring. `tickertape --agents DIR` adds a folder.
    slice_ms
        The width of a slice of event time.
    skew_ms
        A record is rejected when its event time is this much later than its receipt. So is a heartbeat.
    most_sources
        How many sources a partition has room for. A source that is behind by more than ``horizon_ms`` makes room for a
        new one. When none is, records of the new source are rejected.
    lateness_ms
        How late a record may come, by topic: slices stay open until the watermark is this far past their end. A topic
        that isn't named here has its metric's own default.
    idle_seconds
        Results don't wait for a source that has sent nothing for this long, once its partition is read to the end.
    horizon_ms
        How far behind the others a source may be, in event time, and still correct results that are final.
    coalesce_ms
        Under load a worker waits at least this long between two fetches, up to four times as long when the work on what
        it fetched takes long. A lower value gives lower latency for more CPU time.
    backlog_ms
        A worker that is behind by more than a block publishes this often, so that it catches up faster.
    commit_seconds
        The time between two checkpoints.
    snapshot_seconds
        The time between two snapshots of a shard. The shard's next owner starts from the newest. With 0 there are none:
        the next owner reads up to an hour of frames again, and metrics that follow final bars, such as an EMA, are
        refused, because only snapshots keep them.
    block_records, block_bytes
        A block holds at most this much. A single record that is larger still makes one.
    partitions
        How many partitions a topic has when it is created, by topic. The catalogue has the defaults.
    session_seconds
        A worker that Kafka hasn't heard from for this long loses its partitions to the others.
    resolutions
        How wide windows are, by the name of their results: ``1s,1m,4h,1d`` for ``bars``. And, by kind, which bars a
        metric that follows bars uses: ``1m,1h`` for ``ema``. Each metric has its own defaults.
    signals
        A TOML file of rules; a result that fulfils a rule is a signal. See docs/signals.md. Empty: no signals.
    rolling_ms
        How wide sliding windows are, by name. Each width is a multiple of the finest resolution.
    compression
        How records are compressed that workers and feeds send: ``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
    fill
        True: a final bar is also published for each interval without trades, with the last close for all its prices and
        volume 0. It starts with a symbol's first trade that is read with this set.
    aliases
        A TOML file that says what posts call symbols, ``AAPL = ["apple", "iphone"]``; or a table of that name in
        ``tickertape.toml``. An alias in lower case is found in any case, one with capitals only as it is written.
    metrics_port, metrics_host
        Where a process serves /metrics. Port 0: a free one, which the process prints. Port -1: nowhere. The workers of
        `up` take free ports, and `up` lists them at /sd.
    log_format
        ``text``, or ``json`` for a JSON object a line.
    watch
        Symbols whose newest results are also metrics, separated by commas: BTC-USDT,ETH-USDT.
    feeds
        The settings that feeds declare, by full name: ``coinbase_url``.
    feed_silence_seconds
        A live connection that brings nothing for this long is closed and made anew.
    feed_ping_seconds
        The time between two pings to a live source. A ping that isn't answered within it ends the connection.
    feed_renew_seconds
        A live connection is replaced when it is this old; the new one is up before the old one is closed. Binance ends
        connections after 24 hours.
    feed_buffer_bytes
        How much of a live source's messages may wait while Kafka takes nothing. Past it the oldest messages are dropped
        and counted; a source that can repeat them is asked for them again later.
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
