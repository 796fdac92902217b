"""Results as JSON, CSV or Arrow, as the client's header ``Accept`` says."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO, StringIO
from typing import Any, Literal, TypeAlias

import msgspec
import pyarrow as pa

from tickertape.stream.api.answers import JSON, Refused, encode
from tickertape.stream.recent.held import Held
from tickertape.stream.recent.sinks import ANY, Kind, Sink
from tickertape.stream.results.arrow import table_of

Form: TypeAlias = Literal["application/json", "text/csv", "application/vnd.apache.arrow.stream"]
CSV: Form = "text/csv"
ARROW: Form = "application/vnd.apache.arrow.stream"
FORMS: tuple[Form, ...] = ("application/json", CSV, ARROW)


def form_in(accept: str) -> Form:
    """Return the form that a header ``Accept`` prefers.

    Raises
    ------
    Refused
        It takes none of ours.
    """
    best: tuple[float, int, Form] | None = None
    for order, part in enumerate(accept.split(",") if accept.strip() else ["*/*"]):
        name, *parameters = (one.strip() for one in part.split(";"))
        quality = next((_quality(one) for one in parameters if one.startswith("q=")), 1.0)
        for form in FORMS:
            if quality and name.lower() in (form, "*/*", f"{form.partition('/')[0]}/*"):
                found = (-quality, order, form)
                best = found if best is None else min(best, found, key=lambda one: one[:2])
    if best is None:
        raise Refused(406, f"results come as {', '.join(FORMS)}: name one of them in the header Accept")
    return best[2]


def written(form: Form, sink: Sink, found: Sequence[Held], following: str | None) -> bytes:
    """Return results in a form.

    Parameters
    ----------
    form
        The form.
    sink
        Whose results they are.
    found
        The results.
    following
        What to ask for as ``next`` to go on; None at the end. Only JSON has a place for it.
    """
    if form == JSON:
        return b'{"results":[%s],"next":%s}' % (b",".join([held.json for held in found]), encode(following))
    tables = _tables(sink, found)
    return arrow(_table(tables, _kinds(sink, tables))) if form == ARROW else _csv(sink, tables)


def _tables(sink: Sink, found: Sequence[Held]) -> Mapping[str, list[Any]]:
    """Return results as Structs, by kind. What isn't one of that kind is left out: anybody may write to a topic."""
    decoders = {name: msgspec.json.Decoder(kind.record).decode for name, kind in sink.kinds.items()}
    tables: dict[str, list[Any]] = {}
    for held in found:
        name = held.series.kind if held.series.kind in decoders else ANY
        try:
            tables.setdefault(name, []).append(decoders[name](held.json))
        except msgspec.MsgspecError:
            continue
    return tables


def _kinds(sink: Sink, tables: Mapping[str, list[Any]]) -> list[tuple[str, Kind]]:
    """Return the kinds that there are results of; without results all kinds."""
    return [(name, kind) for name, kind in sink.kinds.items() if name in tables or not tables]


def as_table(sink: Sink, found: Sequence[Held]) -> pa.Table:
    """Return results as a table with the columns of all kinds of the sink; those that a kind lacks are null."""
    return _table(_tables(sink, found), list(sink.kinds.items()))


def _table(tables: Mapping[str, list[Any]], kinds: Sequence[tuple[str, Kind]]) -> pa.Table:
    parts = []
    for name, kind in kinds:
        part = table_of(kind.record, tables.get(name, []))
        if name and name != ANY:
            part = part.append_column(kind.named, pa.array([name] * len(part), pa.string()))
        parts.append(part)
    return pa.concat_tables(parts, promote_options="default")


def arrow(table: pa.Table) -> bytes:
    """Return a table as a stream of Arrow's IPC format."""
    out = BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def _csv(sink: Sink, tables: Mapping[str, list[Any]]) -> bytes:
    kinds = _kinds(sink, tables)
    names = list(dict.fromkeys(field for _, kind in kinds for field in kind.record.__struct_fields__))
    tagged = [kind.named for name, kind in kinds if name and name != ANY][:1]
    rows = (
        [*([name] if tagged else []), *(getattr(row, field, None) for field in names)]
        for name, _ in kinds
        for row in tables.get(name, [])
    )
    return in_csv([*tagged, *names], rows).encode()


def in_csv(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV, below their names."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Return a value as it is in CSV: what isn't a text or a number as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None or isinstance(value, str | int | float) else msgspec.json.encode(value).decode()


def _quality(parameter: str) -> float:
    try:
        return min(max(float(parameter.removeprefix("q=")), 0.0), 1.0)
    except ValueError:
        return 0.0
