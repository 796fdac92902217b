"""Records that name many symbols, and slices that hold sketches: small, so that they overflow."""

from collections.abc import Callable, Collection
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from tests.engine.blocks import EPOCH, HOUR_MS, Log
from tickertape.schemas.fields import Id, Name, TimeMs
from tickertape.schemas.topics import POSTS, SOCIAL
from tickertape.stream.configuration.aliases import Aliases
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Sum
from tickertape.stream.engine.define.recipes import Slicing, Windowing
from tickertape.stream.engine.define.sketches import Distinct, Frequent
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.windows.windows import Windows

WORDS = Frequent("words", size=3)
WRITERS = Distinct("writers", lg_k=4)


class Note(Struct, kw_only=True):
    """A note says words; those in capitals are the symbols that it names."""

    source: Name
    id: Id
    time_ms: TimeMs
    writer: str
    words: list[str]
    received_ms: Annotated[int, Meta(ge=0)] = 0


class NoteSlice(Aggregate):
    reducers = (Sum("count", INT), WRITERS, WORDS)


class NoteWindow(NoteSlice):
    def finish(self, partials: Columns) -> Columns:
        return partials | {
            "writers": WRITERS.estimate(partials[WRITERS.column]),
            "words": WORDS.top(partials[WORDS.column], 3),
            "missed": WORDS.error(partials[WORDS.column]),
        }


class Window(Struct, frozen=True):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    count: int
    writers: float
    words: list[tuple[str, int]]
    missed: int
    final: bool
    revision: int
    incomplete: bool


def columns(notes: list[Note]) -> Columns:
    # Any function will do for a hash here, as long as it spreads.
    hashes = [
        int.from_bytes(note.writer.encode().ljust(8, b"\x9e")[:8], "little") * 0x9E3779B97F4A7C15 for note in notes
    ]
    return {
        "count": np.ones(len(notes), np.int64),
        **WRITERS.lift(np.array([one % 2**64 for one in hashes], np.uint64)),
        **WORDS.lift([note.words for note in notes], len(notes)),
    }


def named(settings: Settings) -> Callable[[Note], Collection[str]]:
    aliases = Aliases(settings.aliases)
    return lambda note: aliases.named(" ".join(note.words), [word for word in note.words if word.isupper()])


NOTES = Slicing(topic=POSTS, record=Note, columns=columns, aggregate=NoteSlice(), lateness_ms=2000, names=named)
WINDOWING = Windowing(
    slicing=NOTES, aggregate=NoteWindow(), resolutions={"1s": 1000, "3s": 3000}, sink=SOCIAL, result=Window
)


def note(
    log: Log,
    at: int,
    words: str,
    id: int = 1,  # noqa: A002 - it is the record's field
    *,
    source: str = "s",
    writer: str = "w",
    received: int | None = None,
) -> Log:
    """Append a note; its words are parted by blanks."""
    received_ms = HOUR_MS + (at if received is None else received)
    one = Note(source=source, id=id, time_ms=HOUR_MS + at, writer=writer, words=words.split(), received_ms=received_ms)
    return log.raw(msgspec.json.encode(one), appended=at if received is None else received)


def slicer(log: Log | None = None, aliases: dict[str, list[str]] | None = None, **more: Any) -> Slicer:
    settings: dict[str, Any] = {"checkpoint": None, "committed": None, "begin": 0} | more
    partition = log.partition if log else 0
    return Slicer(
        NOTES,
        partition,
        1,
        slice_ms=1000,
        skew_ms=5000,
        lateness_ms=2000,
        epoch=EPOCH,
        names=named(Settings(aliases=aliases or {})),
        **settings,
    )


def windows() -> Windows:
    return Windows(WINDOWING, slice_ms=1000, horizon_ms=1 << 40, epoch=EPOCH)
