"""What the process that runs a pipeline tells the page's process beside it: a JSON object a line."""

from msgspec import Struct

#: What a line of the page's process begins with that asks the demo for something.
ASKED = "asked: "
#: What its line begins with once it accepts connections.
UP = "the page is at "


class Note(Struct, frozen=True):
    """Something that the demo did.

    Attributes
    ----------
    at_ms
        When, ms since 1970 UTC.
    text
        One line.
    """

    at_ms: int
    text: str


class Told(Struct, frozen=True, omit_defaults=True):
    """A line.

    Attributes
    ----------
    note
        Something that the demo did.
    workers
        Numbers of each worker by its slot's name: see `ProcessNumbers`.
    """

    note: Note | None = None
    workers: dict[str, dict[str, float]] | None = None
