"""``tickertape feed``: events from files, from a simulated market or live ones into Kafka."""

import asyncio
import logging
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
from tickertape.stream.feeds.files import reading as files
from tickertape.stream.feeds.options import source_name
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.telemetry import logs

if TYPE_CHECKING:
    from rich.console import Console

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
    "--speed", type=_Speed(), default="1", show_default=True, metavar="FACTOR", help="Of the clock; `max`: no waiting."
)


class _Spread(click.ParamType):
    """``SYMBOL=N``."""

    name = "spread"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        symbol, _, over = str(value).rpartition("=")
        if not (symbol and over.isdecimal() and int(over)):
            self.fail(f"{value!r} is not SYMBOL=N: BTC-USDT=4", param, ctx)
        return symbol, int(over)


_spread = click.option(
    "--spread",
    type=_Spread(),
    multiple=True,
    metavar="SYMBOL=N",
    help="Spread a hot symbol's events over N partitions; may be given for several. Whatever sends an event again is "
    "to spread it alike.",
)


class _Feeds(click.Group):
    """The commands below, and one for each live feed that is found."""

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
    """Send events to Kafka, each kind to its topic, with a heartbeat a second."""


@feed.command("file")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--format", "kind", default="binance", show_default=True, metavar="FORMAT", help="Of the files.")
@_speed
@click.option("--sort", is_flag=True, help="Sort by event time first, all in memory: for files that are out of order.")
@click.option(
    "--close/--no-close",
    default=True,
    show_default=True,
    help="End each source at the end, so that every bar closes; what it has in the second it ended in is then late.",
)
@_spread
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
    source: str | None,
) -> None:
    """Replay recorded events, several files merged by when they were received.

    Files are plain, or compressed with gzip, bzip2, xz, zstd or zip.

    Formats: `binance`, lines of `<ns received> <message>` from a combined stream, of which trades and quotes
    (bookTicker) are sent; `jetstream`, events of Bluesky's (v1), of which created posts are sent; `twitter`, statuses
    of its API v1.1; `jsonl` (or `json`), trades, quotes and posts in our own JSON, one a line; `parquet`, trades,
    quotes or posts, a column a field, times in milliseconds or as timestamps.
    """
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.publish import session

    console, tally = Console(stderr=True), Tally()
    format_ = format_named(kind, settings.agents)
    send = partial(session.feed, settings, kinds=format_.kinds, close=close, console=console, spread=dict(spread))
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
    help="Trades a second, in the long run.",
)
@click.option(
    "--quotes",
    type=FiniteRange(0),
    default=1.0,
    show_default=True,
    metavar="RATIO",
    help="Quotes a trade, in the long run; 0: none.",
)
@click.option(
    "--posts",
    type=FiniteRange(0),
    default=20.0,
    show_default=True,
    metavar="RATE",
    help="Posts a second that name the symbols, many more in bursts, which prices follow; 0: none.",
)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="The same seed, the same market.")
@click.option("--for", "seconds", type=FiniteRange(0, min_open=True), help="Seconds of event time.")
@click.option("--events", type=click.IntRange(1), help="How many trades.")
@click.option("--source", default="sim", show_default=True, help="The exchange's name in the records.")
@click.option("--start-ms", type=click.IntRange(0), help="Simulate history from this time on, ms since 1970 UTC.")
@_speed
@click.option(
    "--close/--no-close",
    default=None,
    help="End each source at the end, so that every bar closes; what it has in the second it ended in is then late."
    "  [default: close with --start-ms]",
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), metavar="FILE", help="Write the number of trades sent, by symbol."
)
@_spread
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
) -> None:
    """Send a simulated market: trades in bursts, quotes, posts that prices follow; busy symbols and quiet ones."""
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
        # A place that can't be written is told of now, not after an hour.
        simulation.ledger.write(ledger)
    console = Console(stderr=True)
    send = partial(session.feed, settings, kinds=simulation.kinds, close=closes, console=console, spread=dict(spread))
    try:
        asyncio.run(send(simulation.batches))
    finally:
        if ledger is not None:
            simulation.ledger.write(ledger)


_record = click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write each message as it comes, a file an hour, for `tickertape feed file`.",
)


def _command_of(live: "Feed") -> click.Command:
    """Return the command that runs a live feed."""

    @click.pass_obj
    def run(
        settings: Settings,
        record: Path | None,
        spread: tuple[tuple[str, int], ...],
        source: str | None,
        symbols: tuple[str, ...] = (),
    ) -> None:
        from tickertape.stream.feeds.define.registry import settings_of

        settings.the_broker()
        connected = live.connect(settings_of(live, settings.feeds), symbols, source or live.name)
        _send_live(settings, connected, record, spread)

    options: list[click.Parameter] = list(getattr(_record(_spread(source_name(lambda: None))), "__click_params__", ()))
    asked = [click.Argument(["symbols"], nargs=-1, required=True, metavar="SYMBOL...")] if live.takes_symbols else []
    return click.Command(
        live.name,
        callback=run,
        params=[*asked, *options[::-1]],
        help=f"Send {live.about}\n\nIt goes on until told to stop.",
    )


def _send_live(
    settings: Settings, source: "Source", record: Path | None, spread: tuple[tuple[str, int], ...] = ()
) -> None:
    """Send what a live source has until told to stop, and say what became of it all."""
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.live.connection import Patience
    from tickertape.stream.feeds.live.live import Live
    from tickertape.stream.feeds.publish import session

    console = Console(stderr=True)
    _log_to(console, settings.log_format)
    patience = Patience(
        silence_seconds=settings.feed_silence_seconds,
        ping_seconds=settings.feed_ping_seconds,
        renew_seconds=settings.feed_renew_seconds,
    )
    live = Live(source, patience, buffer_bytes=settings.feed_buffer_bytes, folder=record)
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
            )
        )
    finally:
        if tally := live.tally:
            console.print(str(tally), highlight=False, soft_wrap=True, markup=False)


def _log_to(console: "Console", form: logs.Format) -> None:
    """Log lines on a terminal stand above the one that shows progress."""
    from rich.logging import RichHandler

    if console.is_terminal and form == "text":
        logs.set_up(form, RichHandler(console=console, show_path=False), "%(message)s")
    else:
        logs.set_up(form)
    # While Kafka is away it would tell so many times a second; we tell what comes of it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
