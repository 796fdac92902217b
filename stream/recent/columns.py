"""The columns of the board, as a TOML file declares them."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from tickertape.stream.errors import ConfigError
from tickertape.stream.recent.sinks import Sink


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column of the board: one number for each symbol, or several.

    Attributes
    ----------
    name, title
        What programs and people call it.
    topic, kind, resolution, source
        The results that it is taken from.
    field
        The field of these results.
    or_field
        Taken where ``field`` is null.
    show
        ``newest``: the field in the newest window. ``change``: that, divided by the field in the window before the
        newest one of another resolution, less 1; or by the first value known, if there is no such window. ``points``:
        the field in each of the last full windows. ``rate``: the field's sum over the last full windows, per second.
    against
        For ``change``: the other resolution.
    windows
        For ``points`` and ``rate``: how many windows.
    unit, format
        For the page: the unit, and how a number is written.
    """

    name: str
    title: str
    topic: str
    resolution: str
    field: str
    kind: str = ""
    source: str = "all"
    or_field: str = ""
    show: Literal["newest", "change", "points", "rate"] = "newest"
    against: str = ""
    windows: int = 60
    unit: str = ""
    format: str = "number"


class _File(Struct, forbid_unknown_fields=True):
    column: list[Column]


def load(path: Path) -> list[Column]:
    """Read the columns that a file declares.

    Raises
    ------
    ConfigError
        The file can't be read, or a column isn't declared as `Column` says.
    """
    try:
        columns = msgspec.convert(tomllib.loads(path.read_text()), _File).column
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"columns of the board: {path}: {error}") from None
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"columns of the board: {path}: two columns are named {twice[0]}")
    return columns


def available(columns: list[Column], sinks: dict[str, Sink]) -> list[Column]:
    """Return the columns whose results some agent publishes."""
    return [
        column
        for column in columns
        if column.topic in sinks and sinks[column.topic].width_ms(column.kind, column.resolution) is not None
    ]
