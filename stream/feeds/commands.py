"""``tickertape feed``: send events to Kafka from files, a simulated market or a live source."""

import asyncio
import math
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tickertape.stream.configuration.numbers import FiniteRange
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.clock import Clock
from tickertape.stream.feeds.define.registry import format_named, formats
from tickertape.stream.feeds.options import bundle_seconds as bundle_option
from tickertape.stream.feeds.options import source_name
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.telemetry import logs

if TYPE_CHECKING:
    from tickertape.stream.feeds.define.feed import Feed
    from tickertape.stream.feeds.define.source import Source


class _Speed(click.ParamType):
    """A factor above zero, or ``max``, which is infinity."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        speed = math.nan
        with suppress(ValueError):
            speed = math.inf if value == "max" else float(value)
        if not speed > 0:
            self.fail(f"{value!r} is neither `max` nor a number above zero", param, ctx)
        return speed


_speed = click.option(
    "--speed",
    type=_Speed(),
    default="1",
    show_default=True,
    metavar="FACTOR",
    help="Speed relative to the events' own times; `max`: don't wait.",
)


class _Spread(click.ParamType):
    """A symbol and a number of partitions, as ``SYMBOL=N``."""

    name = "spread"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        symbol, _, over = str(value).rpartition("=")
        if not (symbol and over.isdecimal() and int(over)):
            self.fail(f"{value!r} is not SYMBOL=N, for example BTC-USDT=4", param, ctx)
        return symbol, int(over)


_spread = click.option(
    "--spread",
    type=_Spread(),
    multiple=True,
    metavar="SYMBOL=N",
    help="Spread a hot symbol's events over N partitions; repeat the option for more symbols. A run that sends the "
    "same events again needs the same values.",
)


class _Feeds(click.Group):
    """The commands below, and one command for each live feed that is found."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_found(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and (live := _found(ctx).get(cmd_name)) is not None:
            return _command_of(live)
        return command


def _found(ctx: click.Context) -> "dict[str, Feed]":
    from tickertape.stream.feeds.define.registry import feeds

    return feeds(ctx.obj.agents if isinstance(ctx.obj, Settings) else ())


@click.group(cls=_Feeds)
def feed() -> None:
    """Send events to Kafka: each kind to its topic, with a heartbeat every second."""


@feed.command("file")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--format", "kind", default="binance", show_default=True, metavar="FORMAT", help="The files' format.")
@_speed
@click.option(
    "--sort", is_flag=True, help="Sort all events by event time first, in memory. For files that are out of order."
)
@click.option(
    "--close/--no-close",
    default=True,
    show_default=True,
    help="Send end markers at the end, so that every bar closes. If the source goes on later, its events in that last "
    "second are late.",
)
@_spread
@bundle_option
@source_name
@click.pass_obj
def feed_file(
    settings: Settings,
    paths: tuple[Path, ...],
    kind: str,
    speed: float,
    sort: bool,
    close: bool,
    spread: tuple[tuple[str, int], ...],
    bundle_seconds: float,
    source: str | None,
) -> None:
    """Send recorded events. Several files are merged in the order in which their events were received.

    Files may be compressed with gzip, bzip2, xz, zstd or zip.

    Formats: `binance`: lines of `<ns received> <message>` from a combined stream; its trades and quotes (bookTicker)
    are sent. `jetstream`: events of a Bluesky Jetstream (v1); its created posts are sent. `twitter`: statuses of the
    API v1.1. `dbn`: trades and quotes of Databento. `binance-csv`: Binance's files of trades and aggregates. `tardis`:
    CSV files of Tardis, trades and quotes. `jsonl` (or `json`): trades, quotes and posts in our own JSON, one
    per line. `parquet`: trades, quotes or posts, one column per field, with times in milliseconds or as timestamps.
    """
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.files import reading as files
    from tickertape.stream.feeds.publish import session

    console, tally = Console(stderr=True), Tally()
    format_ = format_named(kind, settings.agents, settings.feeds)
    send = partial(
        session.feed,
        settings,
        kinds=format_.kinds,
        close=close,
        console=console,
        spread=dict(spread),
        bundle_seconds=bundle_seconds,
    )
    try:
        clock = partial(Clock, settings.skew_ms)
        with closing(files.turns(paths, format_, tally, clock, by_event_time=sort, source=source)) as turns:
            asyncio.run(send(partial(files.paced, turns, speed)))
    finally:
        if tally:
            console.print(str(tally), highlight=False, soft_wrap=True, markup=False)
    tally.must_be_read(kind, formats(settings.agents))


@feed.command("simulate")
@click.option("--symbols", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option(
    "--rate",
    type=FiniteRange(0, min_open=True),
    default=20_000.0,
    show_default=True,
    help="Trades per second, on average.",
)
@click.option(
    "--quotes",
    type=FiniteRange(0),
    default=1.0,
    show_default=True,
    metavar="RATIO",
    help="Quotes per trade, on average; 0: none.",
)
@click.option(
    "--posts",
    type=FiniteRange(0),
    default=20.0,
    show_default=True,
    metavar="RATE",
    help="Posts per second that name the symbols. Bursts add many more, and prices follow them. 0: none.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="The same seed gives the same market."
)
@click.option("--for", "seconds", type=FiniteRange(0, min_open=True), help="Stop after so many seconds of event time.")
@click.option("--events", type=click.IntRange(1), help="Stop after so many trades.")
@click.option("--source", default="sim", show_default=True, help="The exchange's name in the records.")
@click.option("--start-ms", type=click.IntRange(0), help="Simulate history from this time on, in ms since 1970 UTC.")
@_speed
@click.option(
    "--close/--no-close",
    default=None,
    help="Send end markers at the end, so that every bar closes. If the source goes on later, its events in that last "
    "second are late.  [default: close with --start-ms]",
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the number of trades sent per symbol to FILE.",
)
@_spread
@bundle_option
@click.pass_obj
def feed_simulate(
    settings: Settings,
    symbols: int,
    rate: float,
    quotes: float,
    posts: float,
    seed: int,
    seconds: float | None,
    events: int | None,
    source: str,
    start_ms: int | None,
    speed: float,
    close: bool | None,
    ledger: Path | None,
    spread: tuple[tuple[str, int], ...],
    bundle_seconds: float,
) -> None:
    """Send a simulated market: bursts of trades, quotes, and posts that prices follow; busy and quiet symbols."""
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.publish import session
    from tickertape.stream.feeds.simulate.simulated_market import Market
    from tickertape.stream.feeds.simulate.simulated_posts import Crowd
    from tickertape.stream.feeds.simulate.simulation import Simulation

    market = Market(symbols, rate, quotes=quotes, seed=seed, source=source)
    crowd = Crowd(market.symbols, posts, seed=seed, source=source) if posts else None
    simulation = Simulation(market, crowd, start_ms=start_ms, seconds=seconds, events=events, speed=speed)
    closes = simulation.closes if close is None else close
    if ledger is not None:
        # If the file can't be written, fail now and not after an hour.
        simulation.ledger.write(ledger)
    console = Console(stderr=True)
    send = partial(
        session.feed,
        settings,
        kinds=simulation.kinds,
        close=closes,
        console=console,
        spread=dict(spread),
        bundle_seconds=bundle_seconds,
    )
    try:
        asyncio.run(send(simulation.batches))
    finally:
        if ledger is not None:
            simulation.ledger.write(ledger)


_record = click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Record each message as it comes, in one file per hour, for `tickertape feed file`.",
)

_redundant = click.option(
    "--redundant",
    is_flag=True,
    help="Have two connections for each one at once, and take what both bring once. What one of them loses, the other "
    "has.",
)


def _command_of(live: "Feed") -> click.Command:
    """Return the command that runs a live feed."""

    @click.pass_obj
    def run(
        settings: Settings,
        record: Path | None,
        redundant: bool,
        spread: tuple[tuple[str, int], ...],
        bundle_seconds: float,
        source: str | None,
        symbols: tuple[str, ...] = (),
    ) -> None:
        from tickertape.stream.feeds.define.registry import settings_of

        settings.the_broker()
        connected = live.connect(settings_of(live, settings.feeds), symbols, source or live.name)
        _send_live(settings, connected, record, spread, bundle_seconds, redundant=redundant)

    decorated = _record(_redundant(_spread(bundle_option(source_name(lambda: None)))))
    options: list[click.Parameter] = list(getattr(decorated, "__click_params__", ()))
    asked = [click.Argument(["symbols"], nargs=-1, required=True, metavar="SYMBOL...")] if live.takes_symbols else []
    return click.Command(
        live.name,
        callback=run,
        params=[*asked, *options[::-1]],
        help=f"Send {live.about}\n\nRuns until it is stopped.",
    )


def _send_live(
    settings: Settings,
    source: "Source",
    record: Path | None,
    spread: tuple[tuple[str, int], ...] = (),
    bundle_seconds: float = 0.0,
    *,
    redundant: bool = False,
) -> None:
    """Send a live source's events until stopped, then print what became of its messages."""
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.publish import session

    console = Console(stderr=True)
    logs.set_up_beside(console, settings.log_format)
    live = session.live_of(settings, source, record, redundant=redundant)
    try:
        asyncio.run(
            session.feed(
                settings,
                live.batches,
                kinds=source.kinds,
                close=False,
                console=console,
                spread=dict(spread),
                live=live,
                bundle_seconds=bundle_seconds,
            )
        )
    finally:
        if tally := live.tally:
            console.print(str(tally), highlight=False, soft_wrap=True, markup=False)
