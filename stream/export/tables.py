"""The tables of the results: one for each topic, as in ``tickertape sql``, made from the Structs of the agents."""

import re
from collections.abc import Collection, Sequence

from tickertape.stream.errors import ConfigError
from tickertape.stream.export.define.table import Column, Table
from tickertape.stream.recent.sinks import ANY, Field, Kind, Sink

#: The column that says a result's kind, where a topic has several.
KIND = "kind"
_MOST_BYTES = 63
_UNSAFE = re.compile(r"\W", re.ASCII)


def table_of(sink: Sink) -> Table:
    """Return the table for a topic's results.

    Raises
    ------
    ConfigError
        A field can't be a column, or two kinds have a field of one name and of different types.
    """
    columns: dict[str, Column] = {}
    named = _named(sink)
    if named == KIND:
        columns[KIND] = Column(KIND, "text", False, "The kind of the result.")
    for kind in sink.kinds.values():
        for field in kind.fields:
            _check(sink, field)
            columns[field.name] = _joined(sink, columns.get(field.name), field)
    for kind in sink.kinds.values():
        for name in columns.keys() - {field.name for field in kind.fields} - {KIND}:
            columns[name] = Column(name, columns[name].type, True, columns[name].comment)
    key = ["symbol", "source", "resolution", *([named] if named else []), "start_ms"]
    # A key of a row is compared in this order; the column that time ranges are asked by comes last.
    return Table(_name(sink.topic), list(columns.values()), key, _comment(list(sink.kinds.values())))


def tables_of(sinks: Collection[Sink]) -> dict[str, Table]:
    """Return the tables of some sinks, by topic.

    Raises
    ------
    ConfigError
        See `table_of`; or the tables of two topics have the same name.
    """
    found = {sink.topic: table_of(sink) for sink in sinks}
    topics: dict[str, str] = {}
    for topic, table in found.items():
        if (other := topics.setdefault(table.name, topic)) != topic:
            raise ConfigError(f"topics {other} and {topic} would both be the table {table.name}: rename one")
    return found


def kind_of(sink: Sink, kind: str) -> Kind | None:
    """Return a sink's kind by its name; None if it has none of that name."""
    return sink.kinds.get(kind) or sink.kinds.get(ANY)


def _named(sink: Sink) -> str:
    """Return the column that says a result's kind; empty if the topic has only one."""
    if ANY in sink.kinds:
        return next(iter(sink.kinds.values())).named
    return KIND if len(sink.kinds) > 1 else ""


def _name(topic: str) -> str:
    name = _UNSAFE.sub("_", topic)
    if len(name) > _MOST_BYTES:
        raise ConfigError(f"topic {topic}: a table's name has at most {_MOST_BYTES} letters: rename the topic")
    return name


def _check(sink: Sink, field: Field) -> None:
    if not field.name.isidentifier() or len(field.name.encode()) > _MOST_BYTES:
        raise ConfigError(
            f"{sink.topic}: a field {field.name!r} can't be a column: use letters, digits and `_`, {_MOST_BYTES} bytes "
            "at most"
        )


def _joined(sink: Sink, known: Column | None, field: Field) -> Column:
    """Return the column for a field and for those of other kinds with the same name."""
    unit = f"[{field.unit}] " if field.unit and field.unit != "share" else ""
    comment = f"{unit}{field.meaning}".strip()
    if known is None:
        return Column(field.name, field.type, field.nullable, comment)  # type: ignore[arg-type]  # the types are ours
    types = {known.type, field.type}
    if len(types) > 1 and types != {"integer", "number"}:
        raise ConfigError(
            f"{sink.topic}: the field {field.name} is {known.type} in one kind and {field.type} in another, so it "
            "can't be a column: rename one"
        )
    return Column(
        field.name,
        "number" if len(types) > 1 else known.type,
        known.nullable or field.nullable,
        known.comment if known.comment == comment or not comment else known.comment or comment,
    )


def _comment(kinds: Sequence[Kind]) -> str:
    return " ".join(dict.fromkeys(kind.meaning for kind in kinds if kind.meaning))
