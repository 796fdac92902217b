"""What the workers have published, against a replay of the input that is retained: final results, to the last bit."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field
from rich.console import Console

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.replay import run
from tickertape.stream.replay.run import Outcome

# Symbol, source, resolution, start; and the kind, where a sink has several.
_KEY = re.compile(r"[^|]+\|[^|]+\|[^|]+\|-?\d+(?:\|([^|]+))?")
_encode = msgspec.json.Encoder().encode


class Held(Struct):
    """What a reader of a sink holds of a key: the record with the highest (final, revision), of equals the later.

    Attributes
    ----------
    value
        The record.
    final, revision
        What it says.
    partition, offset
        Where it lies.
    """

    value: bytes
    final: bool
    revision: int
    partition: int
    offset: int


class Made(Struct, frozen=True):
    """Results to compare.

    Attributes
    ----------
    output
        Which.
    windows
        The output of the windows that they are, or follow.
    widths
        By resolution, in ms.
    follows
        Whether each follows from all before it.
    """

    output: Output
    windows: str
    widths: Mapping[str, int]
    follows: bool = False


class _Standing(Struct):
    final: bool
    revision: int


class Compared(Struct):
    """How the results of an output compare.

    Attributes
    ----------
    output
        Its name.
    agree
        How many results are the same on both sides.
    left_out
        Why others could not be compared, and how many.
    differences
        A line each, the earliest first.
    """

    output: str
    agree: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.agree:,} {self.output} agree"]
        lines += [f"  left out: {count:,} {why}" for why, count in sorted(self.left_out.items())]
        return "\n".join(lines)


TRIMMED = "of which retention has taken input"
NOT_YET = "that are not final yet on the sink"
STILL_OPEN = "that are final on the sink, by idle sources, and open by the log alone"
LOST = "of a series that began anew, marked incomplete: its past was in no snapshot"
NOT_FILLED = "without events, which the workers have not filled: `fill` may have been off"


async def verify(settings: Settings, topic: str, processes: int, folder: Path, console: Console) -> list[Compared]:
    """Compare the sinks of a topic's metrics with a replay of what it retains.

    The sinks are read first, so that whatever is on them comes from input that is replayed.

    Parameters
    ----------
    settings
        The pipeline's.
    topic
        The input.
    processes
        How many replay.
    folder
        For what they leave for each other.
    console
        Where progress goes.
    """
    agents = configured(settings)
    made: list[Made] = []
    for windowing in agents.windowings:
        if windowing.slicing.topic.name == topic:
            name, widths = windowing.output.name, windowing.resolutions
            made.append(Made(windowing.output, name, widths))
            following = Derived(windowing, agents.recipes, settings)
            made += [Made(output, name, widths, follows=True) for output in following.outputs]
    held = await _held(settings, [one.output for one in made]) if made else {}
    outcome = await run.of_topic(settings, topic, processes, folder, console)
    return [compare(one, held[one.output.name], _replayed(one.output, folder), outcome) for one in made]


async def _held(settings: Settings, outputs: list[Output]) -> dict[str, dict[str, Held]]:
    sinks = sorted({output.sink for output in outputs})
    names = {(output.sink, output.kind): output.name for output in outputs}
    held: dict[str, dict[str, Held]] = {output.name: {} for output in outputs}
    standing = msgspec.json.Decoder(_Standing).decode
    async with Reader(settings, sinks, from_beginning=True) as reader:
        ends = await reader.ends()
        while not await reader.has_read(ends):
            for record in await reader.read():
                key = (record.key or b"").decode(errors="replace")
                try:
                    now = standing(record.value or b"")
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    now = None
                match = _KEY.fullmatch(key)
                name = names.get((record.topic, match[1] or "")) if match else None
                if now is None or name is None:
                    # Anybody may write to a topic; what is no result is none of ours.
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
    """Compare what a sink holds with what a replay gives.

    Parameters
    ----------
    made
        Which results.
    held
        By key, what the sink holds.
    replayed
        The final results of the replay.
    outcome
        What else it came to.
    """
    name = made.output.name
    compared, found = Compared(name), _Differences(made)
    open_, seen = set(outcome.open[made.windows]), set()
    ends = f"|{made.output.kind}" if made.output.kind else ""
    past = _Past(made, held, outcome)
    # Finals of a series come in time order, so what is missing before its last one is missing for good.
    last_ms: dict[tuple[str, str], int] = {}
    for key, one in held.items():
        if one.final:
            symbol, source, end_ms = found.series(key)
            last_ms[symbol, source] = max(last_ms.get((symbol, source), 0), end_ms)
    for result in replayed:
        key = f"{result.symbol}|{result.source}|{result.resolution}|{result.start_ms}{ends}"
        seen.add(key)
        live = held.get(key)
        agrees = live is not None and live.final and live.value == _encode(result)
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
    """Why a result that follows from all before it can't be compared: the workers knew more of that, or less."""

    def __init__(self, made: Made, held: Mapping[str, Held], outcome: Outcome) -> None:
        self._trimmed = made.follows and bool(outcome.trimmed_ms)
        decode = msgspec.json.Decoder(_Incomplete).decode
        lost = (key for key, one in held.items() if decode(one.value).incomplete) if made.follows else ()
        self._lost = {_series(key) for key in lost}

    def excuse(self, key: str) -> str:
        """Return it, or nothing where there is none."""
        if self._trimmed:
            return TRIMMED
        return LOST if self._lost and _series(key) in self._lost else ""


class _Incomplete(Struct):
    incomplete: bool = False


def _series(key: str) -> tuple[str, ...]:
    return tuple(key.split("|")[:3])


class _Differences:
    """Where sink and replay differ, and how."""

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
        """Whether the workers themselves say that they have not read all of it."""
        return bool(getattr(self._read(live), "incomplete", False))

    def _read(self, live: Held) -> Any:
        try:
            return self._decode(live.value)
        except msgspec.MsgspecError:
            return None

    def _add(self, key: str, text: str) -> None:
        self._found.append((self.start_ms(key), key, f"{self._made.output.name}: {key}: {text}"))

    def unpublished(self, key: str, live: Held | None, result: Any) -> None:
        what = "is not there" if live is None else f"is not final ({_place(live)})"
        self._add(
            key,
            f"it {what} though later ones of its symbol are final; the replay counts {result.revision:,} events in it",
        )

    def unfounded(self, key: str, live: Held) -> None:
        self._add(key, f"the sink has {live.revision:,} events in it ({_place(live)}), and the log none")

    def another(self, key: str, live: Held, result: Any) -> None:
        read = self._read(live)
        if read is None:
            self._add(key, f"what the sink has is no {type(result).__name__} ({_place(live)})")
            return
        # As text: a float is the same where all its bits are.
        fields = [(name, getattr(read, name), getattr(result, name)) for name in result.__struct_fields__]
        name, lives, replays = next(
            ((name, a, b) for name, a, b in fields if repr(a) != repr(b)), ("its JSON", live.value, _encode(result))
        )
        text = f"{name} is {lives!r} on the sink ({_place(live)}) and {replays!r} by the replay"
        if live.revision < result.revision:
            text += (
                f"; the workers counted {live.revision:,} of {result.revision:,} events: likely a source woke past the "
                "horizon; the topic `late` has the slices that came too late"
            )
        self._add(key, text)

    def lines(self) -> list[str]:
        return [line for *_, line in sorted(self._found)]


def _place(live: Held) -> str:
    return f"partition {live.partition}, offset {live.offset}"
