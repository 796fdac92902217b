"""Counts of what the lines of recorded files contained."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from tickertape.schemas.events import TOPICS
from tickertape.stream.errors import InputError, counted

# How many bad lines are shown; all are counted.
BAD_SHOWN = 5


class Tally(Struct):
    """Counts of what the lines contained.

    Attributes
    ----------
    events
        Lines that were an event, by its topic.
    others
        Lines that were another message, by kind.
    bad
        Lines that could not be read.
    places
        The first few bad lines, as ``file:line: reason``.
    notes
        Messages to the user about files, such as one that is cut off.
    read_in, bad_in
        Files with at least one readable line, and files with at least one bad line.
    """

    events: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    places: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    read_in: set[str] = field(default_factory=set)
    bad_in: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.events or self.others or self.bad or self.notes)

    @property
    def unread(self) -> list[str]:
        """The files without a single readable line."""
        return sorted(self.bad_in - self.read_in)

    def count(self, path: Path, kinds: Iterable[type]) -> None:
        """Count lines of a file that were events of these kinds."""
        self.read_in.add(str(path))
        for kind, count in Counter(kinds).items():
            self.events[TOPICS[kind].name] += count

    def turn_down(self, path: Path, place: str) -> None:
        """Count a bad line of a file; ``place`` is ``file:line: reason``."""
        self.bad += 1
        self.bad_in.add(str(path))
        if len(self.places) < BAD_SHOWN:
            self.places.append(place)

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally."""
        self.events += other.events
        self.others += other.others
        self.bad += other.bad
        self.places = (self.places + other.places)[:BAD_SHOWN]
        self.notes += [note for note in other.notes if note not in self.notes]
        self.read_in |= other.read_in
        self.bad_in |= other.bad_in

    def __str__(self) -> str:
        parts = [", ".join(counted(count, topic) for topic, count in self.events.items()) or "no events"]
        if self.others:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.others.most_common())
            parts.append(f"{counted(self.others.total(), 'other messages')} ({kinds})")
        if self.bad:
            parts.append(counted(self.bad, "bad lines"))
        shown = [f"  {place}" for place in self.places]
        if self.bad > len(self.places):
            shown.append(f"  … and {self.bad - len(self.places):,} more")
        return "\n".join(["; ".join(parts), *shown, *self.notes])

    def must_be_read(self, kind: str, formats: Iterable[str]) -> None:
        """Raise InputError if a file had bad lines and no readable one."""
        if unread := self.unread:
            raise InputError(
                f"{unread[0]}: no line could be read as {kind}; try another --format: " + ", ".join(sorted(formats))
            )
