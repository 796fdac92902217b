"""Compare the final results on the sinks, bit by bit, with a replay of the retained input."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.progress.shown import Counting, Progress
from tickertape.stream.replay import run
from tickertape.stream.replay.run import Outcome

# Symbol, source, resolution, start, and the kind if a sink has several.
_KEY = re.compile(r"[^|]+\|[^|]+\|[^|]+\|-?\d+(?:\|([^|]+))?")
_encode = msgspec.json.Encoder().encode


class Held(Struct):
    """The record that counts for a key of a sink: the one with the highest (final, revision), the later of equals.

    Attributes
    ----------
    value
        The record's value, as JSON.
    final, revision
        Its fields of these names.
    partition, offset
        Its place in the sink.
    """

    value: bytes
    final: bool
    revision: int
    partition: int
    offset: int


class Made(Struct, frozen=True):
    """An output whose results are compared.

    Attributes
    ----------
    output
        The output.
    windows
        The name of the windows' output that these results are, or are derived from.
    widths
        The width of a window in ms, by resolution.
    follows
        True if each result depends on all earlier ones of its series.
    """

    output: Output
    windows: str
    widths: Mapping[str, int]
    follows: bool = False


class _Standing(Struct):
    final: bool
    revision: int


class Compared(Struct):
    """The outcome of comparing an output's results.

    Attributes
    ----------
    output
        Its name.
    agree
        The number of results that are the same on both sides.
    left_out
        The number of results that could not be compared, by reason.
    differences
        A line for each difference, the earliest window first.
    """

    output: str
    agree: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.agree:,} {self.output} agree"]
        lines += [f"  left out: {count:,} {why}" for why, count in sorted(self.left_out.items())]
        return "\n".join(lines)


TRIMMED = "whose input was partly removed by retention"
NOT_YET = "not final yet on the sink"
STILL_OPEN = "final on the sink because sources were idle, but still open by the log alone"
LOST = "of a series that restarted without a snapshot of its past, marked incomplete"
NOT_FILLED = "without events, not filled by the workers: `fill` may have been off"


async def verify(settings: Settings, topic: str, processes: int, folder: Path, progress: Progress) -> list[Compared]:
    """Compare the sinks of a topic's metrics with a replay of its retained records.

    The sinks are read first, so every result on them comes from input that the replay covers.

    Parameters
    ----------
    settings
        The pipeline's settings.
    topic
        The input topic.
    processes
        The number of processes that replay.
    folder
        The folder for the replay's intermediate files.
    progress
        Where progress is shown.
    """
    agents = configured(settings)
    made: list[Made] = []
    for windowing in agents.windowings:
        if windowing.slicing.topic.name == topic:
            name, widths = windowing.output.name, windowing.resolutions
            made.append(Made(windowing.output, name, widths))
            following = Derived(windowing, agents.recipes, settings)
            made += [Made(output, name, widths, follows=True) for output in following.outputs]
    held = await _held(settings, [one.output for one in made], progress) if made else {}
    outcome = await run.of_topic(settings, topic, processes, folder, progress)
    return [compare(one, held[one.output.name], _replayed(one.output, folder), outcome) for one in made]


async def _held(settings: Settings, outputs: list[Output], progress: Progress) -> dict[str, dict[str, Held]]:
    sinks = sorted({output.sink for output in outputs})
    names = {(output.sink, output.kind): output.name for output in outputs}
    held: dict[str, dict[str, Held]] = {output.name: {} for output in outputs}
    standing = msgspec.json.Decoder(_Standing).decode
    async with Reader(settings, sinks, from_beginning=True) as reader:
        begins, ends = await reader.begins(), await reader.ends()
        read = Counting(sum(end - begins[tp] for tp, end in ends.items()))
        with progress.of("read", "results", read):
            while not await reader.has_read(ends):
                for record in await reader.read():
                    read.done += 1
                    key = (record.key or b"").decode(errors="replace")
                    try:
                        now = standing(record.value or b"")
                    except (msgspec.MsgspecError, UnicodeDecodeError):
                        now = None
                    match = _KEY.fullmatch(key)
                    name = names.get((record.topic, match[1] or "")) if match else None
                    if now is None or name is None:
                        # Anybody may write to a topic: skip records that are not our results.
                        continue
                    known = held[name].get(key)
                    if known is None or (now.final, now.revision) >= (known.final, known.revision):
                        held[name][key] = Held(record.value, now.final, now.revision, record.partition, record.offset)
    return held


def _replayed(output: Output, folder: Path) -> Iterator[msgspec.Struct]:
    make: Any = output.result
    for table in run.results(folder, output.name):
        for batch in table.to_batches():
            for row in zip(*[column.to_pylist() for column in batch.columns], strict=True):
                yield make(*row)


def compare(made: Made, held: Mapping[str, Held], replayed: Iterator[Any], outcome: Outcome) -> Compared:
    """Compare a sink's results with a replay's.

    Parameters
    ----------
    made
        The output to compare.
    held
        The sink's records, by key.
    replayed
        The final results of the replay.
    outcome
        The replay's summary: its open windows, and the time up to which retention has removed input.
    """
    name = made.output.name
    compared, found = Compared(name), _Differences(made)
    open_, seen = set(outcome.open[made.windows]), set()
    ends = f"|{made.output.kind}" if made.output.kind else ""
    past = _Past(made, held, outcome)
    # Finals of a series are published in time order, so a result missing before the last one stays missing.
    last_ms: dict[tuple[str, str], int] = {}
    for key, one in held.items():
        if one.final:
            symbol, source, end_ms = found.series(key)
            last_ms[symbol, source] = max(last_ms.get((symbol, source), 0), end_ms)
    for result in replayed:
        key = f"{result.symbol}|{result.source}|{result.resolution}|{result.start_ms}{ends}"
        seen.add(key)
        live = held.get(key)
        agrees = live is not None and live.final and _is_same(live.value, result)
        if excuse := not agrees and past.excuse(key):
            compared.left_out[excuse] += 1
        elif result.start_ms < outcome.trimmed_ms:
            compared.left_out[TRIMMED] += 1
        elif agrees:
            compared.agree += 1
        elif live is None or not live.final:
            symbol, source, end_ms = found.series(key)
            if end_ms > last_ms.get((symbol, source), 0):
                compared.left_out[NOT_YET] += 1
            elif not result.revision:
                compared.left_out[NOT_FILLED] += 1
            else:
                found.unpublished(key, live, result)
        elif found.says_incomplete(live):
            compared.left_out[TRIMMED] += 1
        else:
            found.another(key, live, result)
    for key, live in held.items():
        if key in seen or not live.final:
            continue
        start_ms = found.start_ms(key)
        if excuse := past.excuse(key):
            compared.left_out[excuse] += 1
        elif start_ms < outcome.trimmed_ms or (outcome.trimmed_ms and not live.revision):
            compared.left_out[TRIMMED] += 1
        elif key.removesuffix(ends) in open_:
            compared.left_out[STILL_OPEN] += 1
        else:
            found.unfounded(key, live)
    compared.differences = found.lines()
    return compared


class _Past:
    """Gives the reason why a derived result can't be compared: the workers had more of the past than we do, or less."""

    def __init__(self, made: Made, held: Mapping[str, Held], outcome: Outcome) -> None:
        self._trimmed = made.follows and bool(outcome.trimmed_ms)
        decode = msgspec.json.Decoder(_Incomplete).decode
        lost = (key for key, one in held.items() if decode(one.value).incomplete) if made.follows else ()
        self._lost = {_series(key) for key in lost}

    def excuse(self, key: str) -> str:
        """Return why a result can't be compared; empty if it can."""
        if self._trimmed:
            return TRIMMED
        return LOST if self._lost and _series(key) in self._lost else ""


class _Incomplete(Struct):
    incomplete: bool = False


def _series(key: str) -> tuple[str, ...]:
    return tuple(key.split("|")[:3])


class _Differences:
    """Collects the differences between sink and replay, a line each."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._decode = msgspec.json.Decoder(made.output.result).decode
        self._found: list[tuple[int, str, str]] = []

    def series(self, key: str) -> tuple[str, str, int]:
        """Return symbol, source and end of the window that a key names."""
        symbol, source, resolution, *_ = key.split("|")
        return symbol, source, self.start_ms(key) + self._made.widths.get(resolution, 0)

    def start_ms(self, key: str) -> int:
        return int(key.split("|")[3])

    def says_incomplete(self, live: Held) -> bool:
        """Return whether the workers marked the result incomplete."""
        return bool(getattr(self._read(live), "incomplete", False))

    def _read(self, live: Held) -> Any:
        try:
            return self._decode(live.value)
        except msgspec.MsgspecError:
            return None

    def _add(self, key: str, text: str) -> None:
        self._found.append((self.start_ms(key), key, f"{self._made.output.name}: {key}: {text}"))

    def unpublished(self, key: str, live: Held | None, result: Any) -> None:
        what = "is missing on the sink" if live is None else f"is not final ({_place(live)})"
        self._add(
            key,
            f"it {what}, though later ones of its symbol are final; the replay counts {result.revision:,} events in it",
        )

    def unfounded(self, key: str, live: Held) -> None:
        self._add(key, f"the sink counts {live.revision:,} events in it ({_place(live)}), the replay none")

    def another(self, key: str, live: Held, result: Any) -> None:
        read = self._read(live)
        if read is None:
            self._add(key, f"the sink's record is not a valid {type(result).__name__} ({_place(live)})")
            return
        # Compared as text, so that floats are equal only if all their bits are.
        fields = [(name, getattr(read, name), getattr(result, name)) for name in result.__struct_fields__]
        name, lives, replays = next(
            ((name, a, b) for name, a, b in fields if repr(a) != repr(b)), ("its JSON", live.value, _encode(result))
        )
        text = f"{name} is {lives!r} on the sink ({_place(live)}) and {replays!r} in the replay"
        if live.revision < result.revision:
            text += (
                f"; the workers counted {live.revision:,} of {result.revision:,} events: a source probably resumed "
                "after the horizon had passed; the topic `late` has the slices that came too late"
            )
        self._add(key, text)

    def lines(self) -> list[str]:
        return [line for *_, line in sorted(self._found)]


def _is_same(published: bytes, result: msgspec.Struct) -> bool:
    """Return whether a record holds a result, apart from optional fields that were added after it was published."""
    if published == _encode(result):
        return True
    optional = [field.name for field in msgspec.structs.fields(result) if not field.required]
    added = [name for name in optional if f'"{name}":'.encode() not in published]
    if not added:
        return False
    fields = msgspec.to_builtins(result)
    return published == _encode({name: value for name, value in fields.items() if name not in added})


def _place(live: Held) -> str:
    return f"partition {live.partition}, offset {live.offset}"
