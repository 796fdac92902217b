"""The sinks that can be read: their kinds of results, and how a record of each is told from the others."""

import inspect
from typing import Any

import msgspec
from msgspec import Struct

from tickertape.stream.configuration.meanings import meanings
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Signals
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.results.described import SHARED_MEANINGS

#: Stands for every kind on a topic whose kinds are the names of rules.
ANY = "*"
_RULE = "rule"
_UNITS = {"ms": "ms", "seconds": "s", "bytes": "bytes", "bps": "basis points", "share": "share", "change": "share"}
_HEAD: list[Any] = [
    ("symbol", str),
    ("source", str),
    ("resolution", str),
    ("start_ms", int),
    ("final", bool),
    ("revision", int),
]


class Field(Struct, frozen=True):
    """A field of a result.

    Attributes
    ----------
    name
        As in the JSON.
    type
        ``text``, ``integer``, ``number``, ``flag`` or ``list``.
    nullable
        True if it may be null.
    unit
        The unit, as the name tells it; empty if it doesn't.
    meaning
        What the result's docstring says of it.
    """

    name: str
    type: str
    nullable: bool
    unit: str
    meaning: str


class Kind(Struct, frozen=True):
    """One kind of results on a sink.

    Attributes
    ----------
    output
        The kind as the agents define it; its name is `ANY` where rules give the names.
    resolutions
        The widths of its windows in ms, by name.
    fields
        The fields of its results.
    meaning
        What its results are, as the first lines of their docstring say.
    named
        The field of a result that says its kind; empty if there is none.
    record
        The Struct of a result as a reader gets it: with a field ``corrected``.
    """

    output: Output
    resolutions: dict[str, int]
    fields: list[Field]
    meaning: str
    named: str
    record: type[Struct]


class Sink(Struct, frozen=True):
    """A topic with results.

    Attributes
    ----------
    topic
        The topic's name.
    kinds
        Its kinds, by name.
    head
        Decodes from a record what `Series` and `tickertape.stream.recent.held.Held` need.
    """

    topic: str
    kinds: dict[str, Kind]
    head: Any

    def width_ms(self, kind: str, resolution: str) -> int | None:
        """Return the width of the windows of a kind and a resolution; None if the sink has no such results."""
        of = self.kinds.get(kind) or self.kinds.get(ANY)
        return None if of is None else of.resolutions.get(resolution)


def sinks_of(settings: Settings) -> dict[str, Sink]:
    """Return the sinks of the agents that settings name, by topic.

    Raises
    ------
    ConfigError
        The agents can't be loaded, or the settings name what they don't have.
    """
    agents = configured(settings)
    signals = {recipe.sink.name: recipe for recipe in agents.recipes if isinstance(recipe, Signals)}
    kinds: dict[str, dict[str, Kind]] = {}
    widths: dict[str, int] = {}
    for windowing in agents.windowings:
        widths |= windowing.resolutions
        for output, names in Derived(windowing, agents.recipes, settings).known.values():
            if output.sink not in signals:
                of = {name: windowing.resolutions[name] for name in names}
                kinds.setdefault(output.sink, {})[output.kind] = _kind(output, of, settings)
    found = {topic: Sink(topic, of, _head(next(iter(of.values())).output)) for topic, of in kinds.items()}
    for topic, recipe in signals.items():
        # The file of rules is needed where workers run; here any rule's name will do.
        output = Output(topic, ANY, recipe.result)
        found[topic] = Sink(topic, {ANY: _kind(output, widths, settings)}, _head(output))
    return found


def _kind(output: Output, resolutions: dict[str, int], settings: Settings) -> Kind:
    meaning = " ".join(inspect.cleandoc(output.result.__doc__ or "").partition("\n\n")[0].replace("``", "").split())
    return Kind(output, resolutions, fields_of(output.result, settings), meaning, _named(output), _record(output))


def _record(output: Output) -> type[Struct]:
    result = output.result
    tag, tag_field = result.__struct_config__.tag, result.__struct_config__.tag_field
    record = msgspec.defstruct(
        result.__name__, [("corrected", bool, False)], bases=(result,), tag=tag, tag_field=tag_field, kw_only=True
    )
    record.__doc__ = result.__doc__
    return record


def fields_of(result: type[Struct], settings: Settings) -> list[Field]:
    """Describe the fields of a result. A field of a sliding window is described under its name without the width."""
    meaning = SHARED_MEANINGS | meanings(result)
    found = []
    for field in msgspec.inspect.type_info(result).fields:  # type: ignore[attr-defined]  # a Struct has fields
        sorts = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        some = [sort for sort in sorts if not isinstance(sort, msgspec.inspect.NoneType)]
        stem, _, width = field.name.rpartition("_")
        name = stem if width in settings.rolling_ms and field.name not in meaning else field.name
        found.append(
            Field(
                field.encode_name,
                _TYPES.get(type(some[0]), "list"),
                len(some) < len(sorts),
                _UNITS.get(name.rpartition("_")[2], ""),
                meaning.get(name, ""),
            )
        )
    return found


_TYPES: dict[type[msgspec.inspect.Type], str] = {
    msgspec.inspect.StrType: "text",
    msgspec.inspect.LiteralType: "text",
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.BoolType: "flag",
}


def _head(output: Output) -> Any:
    """Return a decoder of what every record of a sink has, with its kind, however the field of that is named."""
    head = msgspec.defstruct(
        "Head",
        [*_HEAD, ("kind", str, "")],
        # Where the sink has one kind only, a field of the name `kind` says nothing.
        rename={"kind": _named(output) or " "},
        gc=False,
    )
    return msgspec.json.Decoder(head).decode


def _named(output: Output) -> str:
    """Return the field of a result that says its kind."""
    config = output.result.__struct_config__
    return str(config.tag_field) if config.tag is not None else _RULE if output.kind == ANY else ""
