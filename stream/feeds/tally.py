"""What became of the lines of recorded files."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from tickertape.schemas.events import TOPICS
from tickertape.stream.errors import InputError

# How many bad lines are shown; all are counted.
BAD_SHOWN = 5


class Tally(Struct):
    """What became of the lines.

    Attributes
    ----------
    events
        Lines that gave an event, by its topic.
    others
        Lines that tell of something else, by kind.
    bad
        Lines that could not be read.
    places
        Of the first few bad ones: ``file:line: reason``.
    notes
        What is to be said of files.
    read_in, bad_in
        Files that had a line which could be read, and those that had one which could not.
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
        """The files of which not one line could be read."""
        return sorted(self.bad_in - self.read_in)

    def count(self, path: Path, kinds: Iterable[type]) -> None:
        """Count lines of a file that gave events of these kinds."""
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
        """Add what became of more lines."""
        self.events += other.events
        self.others += other.others
        self.bad += other.bad
        self.places = (self.places + other.places)[:BAD_SHOWN]
        self.notes += [note for note in other.notes if note not in self.notes]
        self.read_in |= other.read_in
        self.bad_in |= other.bad_in

    def __str__(self) -> str:
        parts = [", ".join(f"{count:,} {topic}" for topic, count in self.events.items()) or "no events"]
        if self.others:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.others.most_common())
            parts.append(f"{self.others.total():,} other messages ({kinds})")
        if self.bad:
            parts.append(f"{self.bad:,} bad lines")
        shown = [f"  {place}" for place in self.places]
        if self.bad > len(self.places):
            shown.append(f"  … and {self.bad - len(self.places):,} more")
        return "\n".join(["; ".join(parts), *shown, *self.notes])

    def must_be_read(self, kind: str, formats: Iterable[str]) -> None:
        """Raise InputError where a file had lines and not one of them could be read."""
        if unread := self.unread:
            raise InputError(
                f"{unread[0]}: not one line of it could be read as {kind}; is it of another format? There are "
                + ", ".join(sorted(formats))
            )
