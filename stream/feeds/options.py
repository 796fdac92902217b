"""Options that the commands of feeds and replays share."""

from typing import Any

import click
import msgspec

from tickertape.schemas.fields import Source
from tickertape.stream.engine.core.names import check


class SourceName(click.ParamType):
    """A source's name that is valid in records."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            check(found := msgspec.convert(value, Source))
        except ValueError as error:
            self.fail(f"{value!r} is not a valid source name: {error}", param, ctx)
        return found


source_name = click.option(
    "--source",
    type=SourceName(),
    metavar="NAME",
    help="Use this source name in the records, for example binance-futures, to keep captures of two markets apart.",
)
