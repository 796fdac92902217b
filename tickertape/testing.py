"""Test your own metrics: compute results from events without Kafka, with the same code that a worker runs.

For tests with a real broker, the pytest fixture ``tickertape_kafka`` starts one for the session and gives its address.
It is available wherever Tickertape is installed.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame, Tallies
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.define.discovery import Agents, Recipe, adapted, agents_of
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import windows_of
from tickertape.stream.errors import ConfigError

__all__ = ["Outcome", "run"]

# An append time later than any event time of a test, so no event is rejected as too far ahead of its receipt.
_APPENDED_MS = 1 << 41
_encode = msgspec.json.Encoder().encode


class Outcome(NamedTuple):
    """The results of a `run`, and what became of its events.

    Attributes
    ----------
    results
        The newest version of each result, in a list for each kind of result (``bars``, ``indicators/ema``). A list is
        sorted by start, symbol, source and resolution.
    tallies
        For each input topic, the numbers of records that were counted, late, rejected and so on.
    late, dead_letters
        The late records, and the rejected records with the reason.
    """

    results: dict[str, list[Any]]
    tallies: dict[str, Tallies]
    late: list[Late]
    dead_letters: list[DeadLetter]


def run(
    events: Iterable[Any],
    *recipes: Recipe,
    settings: Settings | None = None,
    block_records: int = 1000,
    close: bool = True,
) -> Outcome:
    """Compute the results of recipes from events.

    Parameters
    ----------
    events
        The events, in order of arrival. A Struct such as `Trade` goes to the slicing that reads this kind. A
        `Heartbeat` goes to every slicing. Bytes are taken as a record's value; they need recipes with only one slicing.
    *recipes
        What to compute: a `Windowing`, `Recursion`, `Rolling` or `Slicing`, or an indicator that the settings turn on.
        The recipes that these are made from are added.
    settings
        Settings to use in place of the defaults.
    block_records
        How many records are read at a time. Results don't depend on it.
    close
        If True, every source ends after its last event, so every window becomes final.

    Returns
    -------
    Outcome
        Results, tallies, late records and rejected records.

    Raises
    ------
    ConfigError
        No recipe reads events of this kind.

    Examples
    --------
    >>> from tickertape import TRADE_BARS, Trade
    >>> trade = dict(symbol="BTC-USD", source="sim", side="buy", quantity=1.0)
    >>> start_ms = 1_700_000_000_000
    >>> trades = [Trade(id=n, time_ms=start_ms + 100 * n, price=100.0 + n, **trade) for n in range(3)]
    >>> bars = run(trades, TRADE_BARS).results["bars"]
    >>> [(bar.close, bar.count, bar.final) for bar in bars if bar.source == "all" and bar.resolution == "1s"]
    [(102.0, 3, True)]
    """
    settings = settings or Settings()
    agents = adapted(agents_of(recipes), settings)
    by_topic = _by_topic(events, agents)
    outcome = Outcome({}, {}, [], [])
    for slicing in agents.slicings:
        _run_topic(slicing, by_topic[slicing.topic.name], agents, settings, block_records, close, outcome)
    for held in outcome.results.values():
        held.sort(key=lambda one: (one.start_ms, one.symbol, one.source, one.resolution))
    return outcome


def _by_topic(events: Iterable[Any], agents: Agents) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {slicing.topic.name: [] for slicing in agents.slicings}
    topics = {slicing.record: slicing.topic.name for slicing in agents.slicings}
    for event in events:
        if isinstance(event, Heartbeat) or (isinstance(event, bytes) and len(found) == 1):
            for some in found.values():
                some.append(event)
            continue
        if type(event) not in topics:
            names = ", ".join(record.__name__ for record in topics)
            raise ConfigError(f"{type(event).__name__}: no recipe reads such events; these read {names}")
        found[topics[type(event)]].append(event)
    return found


def _run_topic(
    slicing: Slicing,
    events: Sequence[Any],
    agents: Agents,
    settings: Settings,
    block_records: int,
    close: bool,
    outcome: Outcome,
) -> None:
    slicer = Slicer(
        slicing,
        0,
        1,
        **settings_of(slicing, settings),
        checkpoint=None,
        committed=None,
        begin=0,
    )
    windowings = [windowing for windowing in agents.windowings if windowing.slicing is slicing]
    all_windows = windows_of(windowings, agents.recipes, settings)
    decoders = {}
    newest: dict[tuple[str, bytes], Any] = {}
    for windows in all_windows:
        windows.assign(0, Views())
        windows.start_publishing(0)
        for output in windows.outputs:
            outcome.results[output.name] = []
            decoders[output.name] = msgspec.json.Decoder(output.result).decode
    for offset, block in enumerate(_blocks(slicing, events, block_records, close)):
        for refused in slicer.fold(block):
            if isinstance(refused, Late):
                outcome.late.append(refused)
            else:
                outcome.dead_letters.append(refused)
        for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
            # Encode and decode the frame, as Kafka would pass it on.
            said = msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame)
            for windows in all_windows:
                windows.apply_frame(0, offset, said)
        for windows in all_windows:
            while True:
                for output, _, key, value in windows.flush():
                    newest[output.name, key] = decoders[output.name](value)
                if not windows.lags:
                    break
    for (name, _), result in newest.items():
        outcome.results[name].append(result)
    outcome.tallies[slicing.topic.name] = slicer.tallies


def _blocks(slicing: Slicing, events: Sequence[Any], block_records: int, close: bool) -> list[Block]:
    topic = slicing.topic.name
    values: list[bytes | None] = []
    headers: dict[int, Headers] = {}
    last_ms: dict[str, int] = {}
    for event in events:
        if isinstance(event, Heartbeat):
            headers[len(values)] = tuple(to_headers(event))
        elif not isinstance(event, bytes):
            last_ms[event.source] = max(event.time_ms, last_ms.get(event.source, 0))
        values.append(None if isinstance(event, Heartbeat) else event if isinstance(event, bytes) else _encode(event))
    for source, time_ms in last_ms.items() if close else ():
        headers[len(values)] = tuple(to_headers(Heartbeat(source, time_ms, 1, end=True)))
        values.append(None)
    blocks = []
    for start in range(0, len(values), block_records):
        some = values[start : start + block_records]
        end = start + len(some)
        mine = {at - start: header for at, header in headers.items() if start <= at < end}
        blocks.append(Block(topic, 0, start, end, np.arange(start, end), some, np.full(len(some), _APPENDED_MS), mine))
    # One empty block more, for one more frame: a lane's frontier covers the upserts of the frame before.
    end = len(values)
    return [*blocks, Block(topic, 0, end, end, np.arange(0), [], np.arange(0))]
