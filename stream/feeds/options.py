"""Options that several commands of feeds and replays have."""

from typing import Any

import click
import msgspec

from tickertape.schemas.fields import Source
from tickertape.stream.engine.core.names import check


class SourceName(click.ParamType):
    """A source's name, as records have it."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            check(found := msgspec.convert(value, Source))
        except ValueError as error:
            self.fail(f"{value!r} is no source's name: {error}", param, ctx)
        return found


source_name = click.option(
    "--source",
    type=SourceName(),
    metavar="NAME",
    help="The source's name in the records, so that captures of two markets don't merge: binance-futures.",
)
