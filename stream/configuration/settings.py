"""All settings with their defaults and units. They are read from ``tickertape.toml`` and from ``TICKERTAPE_…``."""

import os
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from tickertape.stream.compiled.build import INSTEAD, OFF
from tickertape.stream.configuration import aliases
from tickertape.stream.configuration.aliases import AliasTable
from tickertape.stream.configuration.connection import Connection, Secret, secret_from
from tickertape.stream.configuration.numbers import not_finite
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import is_folder

PREFIX = "TICKERTAPE_"
FILE = PREFIX + "CONFIG"
# These have the prefix, and are no settings.
_OTHERS = frozenset({FILE, OFF, INSTEAD})
#: Read from the folder that a command runs in, unless ``TICKERTAPE_CONFIG`` names another file.
USUAL_FILE = "tickertape.toml"
#: The settings that are tables, and what their keys are. In the environment, each entry is a variable of its own.
TABLES = {"lateness_ms": "TOPIC", "partitions": "TOPIC", "resolutions": "KIND", "rolling_ms": "NAME"}

Whole = Annotated[int, Meta(ge=1)]
Ms = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]


class Settings(Connection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. `Connection` has those about connecting to Kafka.

    ``TICKERTAPE_SKEW_MS=2000`` sets ``skew_ms``; ``TICKERTAPE_LATENESS_MS_TRADES=500`` sets one entry of
    ``lateness_ms``. A file can set them by the same names: ``tickertape.toml`` in the folder that a command runs in, or
    the file that ``TICKERTAPE_CONFIG`` names. Paths in it are relative to its folder. The environment overrides it.

    Attributes
    ----------
    group
        The pipeline's name, and the first part of its workers' consumer group. With another name, all input is read
        again.
    agents
        Where metrics, feeds and formats are found: dotted names of packages, folders (``./metrics``), and
        ``installed`` for those of other installed distributions. `tickertape --agents DIR` adds a folder.
    slice_ms
        The width of a slice of event time.
    skew_ms
        A record or a heartbeat is rejected if its event time is more than this later than its receipt.
    most_sources
        The highest number of sources in a partition. A new source replaces the one furthest behind if that is behind
        by more than ``horizon_ms``. Otherwise records of the new source are rejected.
    lateness_ms
        How late a record may arrive, by topic: slices stay open until the watermark is this far past their end. For
        other topics, the default of their metric is used.
    idle_seconds
        Results don't wait for a source that has sent nothing for this long, once its partition is read to the end.
    horizon_ms
        How far a source may be behind the others, in event time, and still correct final results.
    coalesce_ms
        Under load, a worker waits at least this long between two fetches, and up to four times as long if processing
        what it fetched takes long. A lower value gives lower latency for more CPU time.
    backlog_ms
        A worker that lags by more than 8,192 events of a partition publishes only this often, to catch up faster; by
        more than 131,072, half as often.
    commit_seconds
        The time between two checkpoints.
    snapshot_seconds
        The time between two snapshots of a shard. The shard's next owner starts from the newest. With 0 there are none:
        the next owner reads up to an hour of frames again, and metrics that are derived from final bars, such as an
        EMA, are refused, because only snapshots store their state.
    block_records, block_bytes
        The most records and bytes in a block, which may have four times as many events in bundles. A larger record is
        a block of its own.
    partitions
        The number of partitions with which a topic is created, by topic. The defaults are in the catalogue of topics.
    session_seconds
        A worker from which Kafka receives nothing for this long loses its partitions to the others.
    resolutions
        The widths of windows, by the name of their results: ``1s,1m,4h,1d`` for ``bars``. For a metric that is derived
        from bars, the bars that it uses, by its kind: ``1m,1h`` for ``ema``. Each metric has its own defaults.
    indicators
        The technical indicators to compute besides the default ones: ``sma(20); macd(12,26,9); rsi(14)@1m,1h``. See
        docs/indicators.md. Empty: none.
    signals
        A TOML file of rules; a result that fulfils a rule is a signal. See docs/signals.md. Empty: no signals.
    alerts
        A TOML file of channels and of routes from signals to them. See docs/alerts.md. Empty: no alerts.
    databases
        A TOML file of databases to which results are copied. See docs/export.md. Empty: none.
    rolling_ms
        The widths of sliding windows, by name. Each width is a multiple of the finest resolution.
    compression
        The compression of records that workers and feeds send: ``none``, ``gzip``, ``snappy``, ``lz4`` or ``zstd``.
    fill
        True also publishes a final bar for each interval without trades, with the last close as all prices and with
        volume 0. Filling starts with the first trade of a symbol that is read while this is set.
    aliases
        A TOML file with the names that posts use for symbols, ``AAPL = ["apple", "iphone"]``; or a table of that name
        in ``tickertape.toml``. An alias in lower case matches in any case, one with capitals only as it is written.
    metrics_port, metrics_host
        Where a process serves /metrics. Port 0 takes a free port, which the process prints; port -1 serves nothing. The
        workers of `up` use free ports, and `up` lists them at /sd.
    log_format
        ``text``, or ``json`` for one JSON object per line.
    watch
        Symbols whose newest results are also metrics, separated by commas: BTC-USDT,ETH-USDT.
    feeds
        The settings that feeds declare, by full name: ``coinbase_url``.
    feed_silence_seconds
        A live connection that receives nothing for this long is closed and opened again.
    feed_ping_seconds
        The time between two pings to a live source. A ping that isn't answered within it ends the connection.
    feed_renew_seconds
        A live connection of this age is replaced; the new one is opened before the old one is closed. Binance ends
        connections after 24 hours.
    feed_buffer_bytes
        How many bytes of a live source's messages may wait while Kafka accepts nothing. Beyond this, the oldest
        messages are dropped and counted. A source that can repeat them is asked for them again later.
    feed_refill_seconds
        How long a live feed holds back a source's trades while missing earlier ones are fetched. What isn't had by then
        is given up, and named.
    recent_seconds
        How far back the page and the API begin to read results when they start.
    recent_mib
        How much memory, in MiB, their recent results may take. Older ones are read from the topic when they are asked
        for.
    console_host, console_port
        Where the page and the API are served. Another host than this machine itself needs ``console_token``.
    console_token
        A secret that each request must show, as ``Authorization: Bearer TOKEN``. Empty: none, on this machine only.
    console_hosts
        Further names by which the page and the API may be reached, separated by commas: ``ticker.example.org``.
    console_certificate, console_key
        The TLS certificate and its key, as PEM files. Empty: no TLS.
    console_columns
        A TOML file with the columns of the page's watch list. Empty: those that come with Tickertape.
    console_metrics
        Where `tickertape up` shows its metrics, as ``127.0.0.1:9108``, for what the page says of workers. Empty: it
        says only what Kafka knows of them.
    console_sql
        True to answer SQL queries at ``/api/v1/sql``: see docs/sql.md. It needs DuckDB.
    console_requests
        How many requests per second a client's address may make, on average.
    """

    group: str = "tickertape"
    agents: list[str] = field(default_factory=lambda: ["tickertape.agents", "installed"])
    slice_ms: Whole = 1000
    skew_ms: Ms = 5000
    most_sources: Annotated[int, Meta(ge=1, le=4096)] = 64
    lateness_ms: dict[str, Ms] = field(default_factory=dict)
    idle_seconds: Seconds = 30.0
    horizon_ms: Ms = 60_000
    coalesce_ms: Ms = 6
    backlog_ms: Ms = 250
    commit_seconds: Seconds = 1.0
    snapshot_seconds: Annotated[float, Meta(ge=0)] = 30.0
    block_records: Whole = 32768
    block_bytes: Whole = 4 << 20
    partitions: dict[str, Whole] = field(default_factory=dict)
    session_seconds: Seconds = 8.0
    resolutions: dict[str, list[str]] = field(default_factory=dict)
    indicators: str = ""
    signals: str = ""
    alerts: str = ""
    databases: str = ""
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
    feed_refill_seconds: Seconds = 60.0
    recent_seconds: Seconds = 900.0
    recent_mib: Whole = 256
    console_host: str = "127.0.0.1"
    console_port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    console_token: Secret = Secret()
    console_hosts: list[str] = field(default_factory=list)
    console_certificate: str = ""
    console_key: str = ""
    console_columns: str = ""
    console_metrics: str = ""
    console_sql: bool = False
    console_requests: Seconds = 50.0

    @property
    def consumer_group(self) -> str:
        """The name of the consumer group on Kafka. Each epoch has its own, and reads the log from its beginning."""
        return f"{self.group}-{self.epoch}"

    @property
    def epoch(self) -> str:
        """The settings that decide the contents of slices, as text. Slices of different epochs never mix."""
        epoch = f"{self.slice_ms}-{self.skew_ms}"
        if not self.aliases:
            return epoch
        table = sorted((symbol, sorted(names)) for symbol, names in self.aliases.items())
        return f"{epoch}-{blake2b(msgspec.json.encode(table), digest_size=4).hexdigest()}"

    def the_broker(self) -> str:
        """Return Kafka's address, for commands that need a running Kafka.

        Raises
        ------
        ConfigError
            No broker is set.
        """
        if not self.broker:
            raise ConfigError(
                "no broker is set: give its address with --broker or TICKERTAPE_BROKER; `tickertape kafka` runs one"
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
        The environment; by default that of the process.
    declared
        A function that is given the setting ``agents``, and returns the names of the settings of its feeds.
    **overrides
        Values from the command line; None means not given. ``more_agents`` are added to ``agents``.

    Raises
    ------
    ConfigError
        A setting is unknown, or its value has the wrong type or is out of range.
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
        raise ConfigError(f"setting: {name} isn't a finite number; see `tickertape settings`")
    return found


def _from_file(path: str) -> dict[str, Any]:
    """Read a settings' file, and make its paths, which are relative to its folder, absolute."""
    try:
        values = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"settings' file {path}: {error}") from None
    folder = Path(path).resolve().parent
    if isinstance(places := values.get("agents"), list):
        values["agents"] = [str(folder / at) if isinstance(at, str) and is_folder(at) else at for at in places]
    for name in ("signals", "alerts", "databases", "aliases", "console_certificate", "console_key", "console_columns"):
        if isinstance(named := values.get(name), str) and named:
            values[name] = str(folder / named)
    return values


def _read_environment(environ: Mapping[str, str], values: dict[str, Any]) -> dict[str, str]:
    """Add the settings in the environment to the values; return the unknown ones by their names in lower case."""
    unknown = {}
    names = {f.name: f for f in msgspec.structs.fields(Settings)}
    lists = [name for name, f in names.items() if f.type in (list[str], dict[str, list[str]])]
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key in _OTHERS:
            continue
        name = key.removeprefix(PREFIX).lower()
        table = next((t for t in TABLES if name.startswith(t + "_")), None)
        if table:
            # Topics' names have hyphens and lower case instead of underscores and capitals.
            entry = name.removeprefix(table + "_").replace("_", "-")
            values[table] = values.get(table, {}) | {entry: _parts(text) if table in lists else text}
        elif name in names and name != "feeds":
            values[name] = _parts(text) if name in lists else text
        else:
            unknown[name] = text
    return unknown


def _parts(text: str) -> list[str]:
    return [part for part in text.split(",") if part]
