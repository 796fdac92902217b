"""``tickertape backfill``: send past trades of a source, before its live ones."""

import asyncio
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.options import SourceName, bundle_seconds
from tickertape.stream.progress import options
from tickertape.stream.telemetry import logs

if TYPE_CHECKING:
    from tickertape.schemas.trade import Trade
    from tickertape.stream.feeds.backfill.past import Span
    from tickertape.stream.feeds.backfill.run import Backfill
    from tickertape.stream.feeds.define.source import Source
    from tickertape.stream.feeds.refill.refill import Seen
    from tickertape.stream.progress.shown import Progress


class _Moment(click.ParamType):
    """A time of ISO 8601, in UTC if it names no other zone; ms since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            moment = datetime.fromisoformat(str(value))
            return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time, such as 2026-01-02 or 2026-01-02T15:00", param, ctx)


@click.command()
@click.argument("symbols", nargs=-1, metavar="[SYMBOL...]")
@click.option("--from", "from_ms", type=_Moment(), metavar="TIME", help="The first event time, such as 2026-01-02.")
@click.option("--to", "to_ms", type=_Moment(), metavar="TIME", help="The event time to end before; by default now.")
@click.option("--source", "feed", metavar="FEED", help="The feed whose past is sent, such as binance.")
@click.option(
    "--file",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Send the trades of this file, and ask no exchange. Repeat the option for more files.",
)
@click.option("--format", "kind", default="binance-csv", show_default=True, metavar="FORMAT", help="The files' format.")
@click.option("--as", "name", type=SourceName(), metavar="NAME", help="Use this source name in the records.")
@bundle_seconds
@options.as_json
@click.pass_obj
def backfill(
    settings: Settings,
    symbols: tuple[str, ...],
    from_ms: int | None,
    to_ms: int | None,
    feed: str | None,
    paths: tuple[Path, ...],
    kind: str,
    name: str | None,
    bundle_seconds: float,
    as_json: bool,
) -> None:
    """Send past trades of a source, so that `tickertape feed` goes on after the last one.

    With --source they come from the exchange: from its daily files where it has them, otherwise from its history, page
    by page. With --file they come from files; the formats are those of `feed file`.

    Stopped or killed, the same command goes on where it ended. No trade is sent twice.
    """
    settings.the_broker()
    from tickertape.stream.progress.shown import Progress

    progress = Progress.on_stderr(as_json=as_json)
    logs.set_up_beside(progress.console, settings.log_format)
    if bool(paths) == bool(feed):
        raise ConfigError("name either an exchange's feed with --source, or files with --file")
    if paths and symbols:
        raise ConfigError("files have all of their symbols: leave the symbols out with --file")
    if feed and (not symbols or from_ms is None):
        raise ConfigError("name symbols, and with --from the time to begin at")
    now_ms = time.time_ns() // 1_000_000
    if to_ms is not None and to_ms >= now_ms:
        to_ms = None
    if from_ms is not None and from_ms >= (to_ms or now_ms):
        raise ConfigError("--from is not before --to, or not in the past")
    if paths:
        found, live = _of_files(settings, paths, kind, from_ms, to_ms, name)
    else:
        assert feed is not None
        assert from_ms is not None
        found, live = _of_exchange(settings, feed, symbols, from_ms, to_ms, name)
    _send(settings, found, live, bundle_seconds, progress)


def _of_files(
    settings: Settings, paths: tuple[Path, ...], kind: str, from_ms: int | None, to_ms: int | None, name: str | None
) -> "tuple[Backfill, str]":
    from tickertape.stream.feeds.backfill.at_hand import AtHand
    from tickertape.stream.feeds.backfill.run import Backfill
    from tickertape.stream.feeds.clock import Clock
    from tickertape.stream.feeds.define.registry import feeds, format_named

    files = AtHand(paths, format_named(kind, settings.agents, settings.feeds), partial(Clock, settings.skew_ms), name)
    begin_ms = max(files.from_ms, from_ms or 0)
    known = files.name if files.name in feeds(settings.agents) else ""
    end_ms = time.time_ns() // 1_000_000 if to_ms is None else to_ms
    return Backfill(settings, files.name, (), begin_ms, end_ms, files.trades), known


def _of_exchange(
    settings: Settings, feed: str, symbols: tuple[str, ...], from_ms: int, to_ms: int | None, name: str | None
) -> "tuple[Backfill, str]":
    from tickertape.stream.feeds.backfill.run import Backfill
    from tickertape.stream.feeds.define.registry import feeds, settings_of

    known = feeds(settings.agents)
    if feed not in known:
        raise ConfigError(f"--source {feed}: no such feed; there are {', '.join(sorted(known))}")
    source = known[feed].connect(settings_of(known[feed], settings.feeds), symbols, name or feed)
    if not (source.refills and source.by_number):
        raise ConfigError(
            f"--source {feed}: its past trades can't be asked for by number, or the settings {feed}_refill and "
            f"{feed}_channels leave them out; send files with --file"
        )
    trades = partial(_asked, settings, source)
    also = "" if name is None else f" --source {name}"
    return Backfill(settings, source.name, source.symbols, from_ms, to_ms, trades), (
        f"{feed} {' '.join(source.symbols)}{also}"
    )


async def _asked(
    settings: Settings, source: "Source", span: "Span", after: "dict[str, Seen]"
) -> "AsyncGenerator[list[Trade]]":
    from tickertape.stream.feeds.backfill.asking import Asking
    from tickertape.stream.feeds.backfill.merged import merged
    from tickertape.stream.feeds.backfill.past import Past
    from tickertape.stream.feeds.define.registry import format_named
    from tickertape.stream.feeds.hosts.budget import LONGEST_SECONDS
    from tickertape.stream.feeds.hosts.request import getter

    get = getter(source.limits, LONGEST_SECONDS)
    named = partial(format_named, places=settings.agents, values=settings.feeds)
    now_ms = time.time_ns() // 1_000_000
    each = [
        Past(source, Asking(source, get, symbol), named, span, after.get(symbol), now_ms).batches()
        for symbol in source.symbols
    ]
    async for batch in merged(each):
        yield batch


def _send(settings: Settings, found: "Backfill", live: str, bundle_seconds: float, progress: "Progress") -> None:
    from tickertape.schemas.trade import Trade
    from tickertape.stream.feeds.backfill.run import when
    from tickertape.stream.feeds.publish import session

    is_whole = asyncio.run(
        session.feed(
            settings,
            found.batches,
            kinds=(Trade,),
            close=False,
            console=progress.console,
            bundle_seconds=bundle_seconds,
            kept=found.kept,
            progress=progress,
            share=found.share,
        )
    )
    for symbol, seen in sorted(found.complete.items()):
        click.echo(f"{symbol}: complete up to id {seen.id} of {when(seen.time_ms)}")
    if not is_whole:
        click.echo("stopped: the same command goes on from there")
    elif live:
        click.echo(f"`tickertape feed {live}` goes on from there")
