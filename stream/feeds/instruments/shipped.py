"""The built-in lists: the main pairs of each source, for use where its own list can't be had."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from tickertape.schemas.instrument import Instrument
from tickertape.stream.feeds.instruments.lists.entry import instrument
from tickertape.stream.feeds.instruments.sources import source_named


def shipped(source: str) -> list[Instrument]:
    """Return the built-in instruments of a source. Their ticks, steps and status are unknown.

    Raises
    ------
    ConfigError
        We know no list of this source.
    """
    source_named(source)
    return [one for table in _tables() if table["source"] == source for one in _instruments(table)]


@cache
def _tables() -> list[dict[str, Any]]:
    text = files("tickertape.stream.feeds.instruments").joinpath("shipped.toml").read_text()
    tables: list[dict[str, Any]] = tomllib.loads(text)["list"]
    return tables


def _instruments(table: dict[str, Any]) -> list[Instrument]:
    found = []
    for entry in table["pairs"].split():
        pair, _, value = entry.partition("=")
        base, _, quote = pair.partition("-")
        found.append(
            instrument(
                table["source"],
                table["name"].format(base=base, quote=quote),
                (base, quote),
                table["kind"],
                "unknown",
                separator="-/",
                contract_value=value or "1",
                inverse=table.get("inverse", False),
            )
        )
    return found
