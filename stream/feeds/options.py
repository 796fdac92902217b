"""Options that the commands of feeds and replays share."""

import re
from typing import Any

import click
import msgspec

from tickertape.schemas.fields import Source
from tickertape.stream.engine.core.names import check

MOST_BUNDLE_SECONDS = 1.0


class SourceName(click.ParamType):
    """A source's name that is valid in records."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            check(found := msgspec.convert(value, Source))
        except ValueError as error:
            self.fail(f"{value!r} is not a valid source name: {error}", param, ctx)
        return found


class Duration(click.ParamType):
    """A time above zero in milliseconds or seconds, ``5ms`` or ``1s``; a number of seconds."""

    name = "duration"

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)", str(value))
        seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
        if not 0 < seconds <= self._most_seconds:
            self.fail(f"{value!r} is not a time of up to {self._most_seconds:g} s, for example 5ms", param, ctx)
        return seconds


source_name = click.option(
    "--source",
    type=SourceName(),
    metavar="NAME",
    help="Use this source name in the records, for example binance-futures, to keep captures of two markets apart.",
)

bundle_seconds = click.option(
    "--bundle",
    "bundle_seconds",
    type=Duration(MOST_BUNDLE_SECONDS),
    default=0.0,
    metavar="TIME",
    help="Collect the events of each partition for so long, for example 5ms, and send them as one record, a bundle. "
    "Workers then read several times as many events a second. By default each event is a record.",
)
