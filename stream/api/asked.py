"""What a request asks for: which results, of which time, and how many."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from msgspec import Struct
from starlette.datastructures import QueryParams

from tickertape.stream.api.answers import Refused
from tickertape.stream.recent.rounds import Position
from tickertape.stream.recent.selection import ALL, Selection
from tickertape.stream.recent.sinks import ANY, Sink

MOST_RESULTS = 10_000
DEFAULT_RESULTS = 1_000
#: The times that a request may name: up to the end of the year 9999.
MOST_MS = 253_402_300_799_999
# The most symbols that a request may name, and the most characters of each value.
_MOST_NAMES, _MOST_CHARACTERS = 200, 200
_FILTERS = ("symbol", "source", "resolution", "kind", "finals")


class Range(Struct, frozen=True):
    """A range of results.

    Attributes
    ----------
    from_ms, to_ms
        The windows that begin from one event time up to, but not including, the other. Without ``from_ms``: the newest.
    as_of_ms
        What was known at this time by the broker's clock; None: what is known now.
    limit
        The most results.
    after
        The result after which to go on: start, symbol, source, resolution, kind. None: from the first on.
    """

    from_ms: int | None
    to_ms: int
    as_of_ms: int | None
    limit: int
    after: tuple[int, str, str, str, str] | None


def sink_at(sinks: Mapping[str, Sink], topic: str) -> Sink:
    """Return the sink of a name.

    Raises
    ------
    Refused
        There is none.
    """
    if topic not in sinks:
        raise Refused(404, f"no results are published to {topic[:_MOST_CHARACTERS]!r}: choose {_or(sinks)}")
    return sinks[topic]


def selection_in(query: QueryParams, sink: Sink) -> Selection:
    """Return the filters in a query.

    Raises
    ------
    Refused
        A filter names what the sink doesn't have.
    """
    sources = _names(query, "source")
    return selection(
        sink,
        symbols=_names(query, "symbol"),
        sources={ALL} if sources is None else sources,
        resolutions=_names(query, "resolution"),
        kinds=_names(query, "kind"),
        finals=flag_in(query, "finals"),
    )


def selection(
    sink: Sink,
    *,
    symbols: Iterable[str] | None,
    sources: Iterable[str] | None,
    resolutions: Iterable[str] | None,
    kinds: Iterable[str] | None,
    finals: bool = False,
) -> Selection:
    """Return filters, checked; where there is only one choice, it is made.

    Raises
    ------
    Refused
        A filter names what the sink doesn't have.
    """
    known_kinds = None if ANY in sink.kinds else sink.kinds.keys()
    known_widths = {name for kind in sink.kinds.values() for name in kind.resolutions}
    _check("kind", kinds, known_kinds, sink.topic)
    _check("resolution", resolutions, known_widths, sink.topic)
    if kinds is None and known_kinds is not None and len(known_kinds) == 1:
        kinds = known_kinds
    return Selection(
        symbols=_set(symbols), sources=_set(sources), resolutions=_set(resolutions), kinds=_set(kinds), finals=finals
    )


def range_in(query: QueryParams) -> Range:
    """Return the range in a query.

    Raises
    ------
    Refused
        A value can't be read.
    """
    from_ms, to_ms = time_in(query, "from"), time_in(query, "to")
    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        raise Refused(400, "from is later than to")
    limit = whole_in(query, "limit", DEFAULT_RESULTS, MOST_RESULTS)
    after = None
    if (text := one_in(query, "next")) is not None:
        parts = text.split("|")
        if len(parts) != 5 or not _is_whole(parts[0]):
            raise Refused(400, "next isn't what an earlier answer gave as next")
        after = int(parts[0]), parts[1], parts[2], parts[3], parts[4]
        from_ms = after[0] if from_ms is None else max(from_ms, after[0])
    as_of_ms = time_in(query, "as_of")
    return Range(from_ms, MOST_MS if to_ms is None else to_ms, as_of_ms, limit, after)


def check_names(query: QueryParams, known: Iterable[str]) -> None:
    """Refuse parameters that a path doesn't have, so that a misspelt filter isn't passed over.

    Raises
    ------
    Refused
        There is one.
    """
    for name in query:
        if name not in (*known, "token"):
            raise Refused(400, f"there is no parameter {name[:_MOST_CHARACTERS]!r} here: it takes {_or(known)}")


def one_in(query: QueryParams, name: str) -> str | None:
    """Return a parameter that may be given once; None if it isn't given."""
    values = query.getlist(name)
    if len(values) > 1:
        raise Refused(400, f"{name} is given {len(values)} times")
    return values[0] if values else None


def flag_in(query: QueryParams, name: str) -> bool:
    text = one_in(query, name)
    if text not in (None, "true", "false"):
        raise Refused(400, f"{name} must be true or false")
    return text == "true"


def whole_in(query: QueryParams, name: str, default: int, most: int) -> int:
    text = one_in(query, name)
    if text is None:
        return default
    if not _is_whole(text) or not 1 <= int(text) <= most:
        raise Refused(400, f"{name} must be a whole number from 1 to {most}")
    return int(text)


def time_in(query: QueryParams, name: str) -> int | None:
    """Return a time in ms since 1970 UTC, from ISO 8601 or ms."""
    text = one_in(query, name)
    return None if text is None else time_of(text, name)


def time_of(text: str, name: str) -> int:
    """Return a time in ms since 1970 UTC, from ISO 8601 or ms.

    Raises
    ------
    Refused
        It can't be read; the line has this name of it.
    """
    if _is_whole(text):
        time_ms = int(text)
    else:
        try:
            # A plus in a query that isn't quoted is a space.
            moment = datetime.fromisoformat(text.replace(" ", "+"))
            time_ms = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            raise Refused(400, f"{name} must be a time as 2026-01-31T12:00:00Z, or in ms since 1970") from None
    if not 0 <= time_ms <= MOST_MS:
        raise Refused(400, f"{name} must be a time from 1970 to 9999")
    return time_ms


def position_in(text: str) -> Position:
    """Return the offsets by partition in an event's id.

    Raises
    ------
    Refused
        It isn't one.
    """
    position: Position = {}
    for part in text.split(",") if text else ():
        number, _, offset = part.partition(":")
        if not (_is_whole(number) and _is_whole(offset)) or int(number) in position:
            raise Refused(400, "the id to go on after must be offsets by partition, as in 0:123,1:456")
        position[int(number)] = int(offset)
    return position


def now_ms() -> int:
    return int(time.time() * 1000)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _names(query: QueryParams, name: str) -> set[str] | None:
    values = query.getlist(name)
    if len(values) > _MOST_NAMES or any(len(value) > _MOST_CHARACTERS for value in values):
        raise Refused(400, f"{name} may be given {_MOST_NAMES} times, with {_MOST_CHARACTERS} characters each")
    return set(values) or None


def _check(name: str, wanted: Iterable[str] | None, known: Iterable[str] | None, topic: str) -> None:
    for value in wanted or ():
        if known is not None and value not in known:
            raise Refused(400, f"{topic} has no {name} {value[:_MOST_CHARACTERS]!r}: choose {_or(known)}")


def _set(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _or(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name in names if name)) or "none, as it has only one"
