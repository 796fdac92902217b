"""``tickertape instruments``: what a source trades, and how its symbols are named."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import click
import msgspec

from tickertape.schemas.instrument import Instrument, Kind
from tickertape.stream.configuration.settings import Settings

PIPE_COLUMNS = 200


@click.command()
@click.argument("source")
@click.option("--search", default="", metavar="TEXT", help="Only instruments with TEXT in one of their names.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only instruments of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as on the topic `instruments`.")
@click.pass_obj
def instruments(settings: Settings, source: str, search: str, kind: str | None, as_json: bool) -> None:
    """Print the instruments of an exchange: their symbols, the exchange's own names, ticks, steps and contracts.

    The exchange's list is fetched and kept for a day. If it can't be fetched, the kept one is printed, or else the
    built-in list of its main pairs.
    """
    from tickertape.stream.feeds.instruments.kept import listing_of

    logging.basicConfig(format="%(message)s")
    listing = listing_of(source, _url(settings, source))
    found = [one for one in listing.instruments if (kind in (None, one.kind)) and _has(one, search.upper())]
    found.sort(key=lambda one: one.symbol)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    elif found:
        _print(found)
    click.echo(f"{len(found):,} of {len(listing.instruments):,} instruments, by {listing.origin}", err=True)


def _url(settings: Settings, source: str) -> str:
    """Return the address that the source's feed would fetch the list from."""
    from tickertape.stream.feeds.define.registry import feeds, settings_of
    from tickertape.stream.feeds.instruments.sources import source_named

    url, feed = source_named(source).url, feeds(settings.agents).get(source)
    return url if feed is None else str(getattr(settings_of(feed, settings.feeds), "info_url", url))


def _has(one: Instrument, text: str) -> bool:
    return any(text in name.upper() for name in (one.symbol, one.name, *one.also))


def _print(found: Sequence[Instrument]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in ("symbol", "its own name", "kind", "status"):
        table.add_column(column, overflow="fold")
    for column in ("tick", "step", "a unit is", "expires"):
        table.add_column(column, justify="right", overflow="fold")
    for one in found:
        status = one.status if one.status in ("trading", "unknown") else f"{one.status} ({one.source_status})"
        unit = f"{one.contract_value} {one.quote if one.inverse else one.base}"
        cells = (one.symbol, one.name, one.kind, status, one.tick or "-", one.step or "-", unit, _expires(one))
        # A name may have what rich would take for markup.
        table.add_row(*map(Text, cells))
    console = Console()
    # What reads a pipe wants whole names.
    (console if console.is_terminal else Console(width=PIPE_COLUMNS)).print(table)


def _expires(one: Instrument) -> str:
    if one.expires_ms is None:
        return "-"
    return f"{datetime.fromtimestamp(one.expires_ms / 1000, UTC):%Y-%m-%d %H:%M}"
