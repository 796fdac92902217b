"""Input that was mistaken, hostile or odd, with its right value: by replay, and sent by a feed to running workers."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.integration.running import finals, running, tallies
from tests.replay.running import replay
from tickertape.agents.market.bars import Bar
from tickertape.agents.social.chatter import Chatter
from tickertape.schemas.topics import POSTS, TRADES

T = 1_700_000_000_000
HOUR_MS = 3_600_000
YEAR_2096_MS = 4_000_000_000_000

Lines = Sequence[dict[str, Any] | bytes]


class Case(NamedTuple):
    """A file and what becomes of it."""

    kind: str
    lines: Lines
    counted: int
    rejected: int = 0
    bad: int = 0


def trade(source: str, number: int, time_ms: int, **more: Any) -> dict[str, Any]:
    fields = {"symbol": "BTC-USD", "source": source, "id": number, "time_ms": time_ms}
    return fields | {"price": 100.0 + number % 7, "quantity": 1.0, "side": "buy"} | more


def sent(source: str, n: int, step_ms: int, lag_ms: int | None = None) -> list[dict[str, Any]]:
    times = [T + step_ms * number for number in range(1, n + 1)]
    said = [{} if lag_ms is None else {"received_ms": time_ms + lag_ms} for time_ms in times]
    return [trade(source, number, *one[:1], **one[1]) for number, one in enumerate(zip(times, said, strict=True), 2)]


def jetstream(number: int, record: dict[str, Any]) -> dict[str, Any]:
    created = {
        "$type": "app.bsky.feed.post",
        "createdAt": f"2023-11-14T22:13:{20 + number}Z",
        "text": f"$AAPL {number}",
    }
    commit = {
        "operation": "create",
        "collection": "app.bsky.feed.post",
        "rkey": f"k{number}",
        "record": created | record,
    }
    return {"did": f"did:plc:{number}", "time_us": (T + 1000 * number) * 1000, "kind": "commit", "commit": commit}


def status(number: int, **more: Any) -> dict[str, Any]:
    fields = {"created_at": f"Tue Nov 14 22:13:{20 + number} +0000 2023", "id_str": str(1000 + number), "text": "$FB"}
    return fields | {"user": {"id_str": "7"}, "lang": "en"} | more


CASES = {
    "first record an hour ahead of its receipt": Case(
        "jsonl", [trade("first-ahead", 1, T + HOUR_MS, received_ms=T), *sent("first-ahead", 600, 100, 20)], 600, 1
    ),
    "one record of 2096, and nobody says when it was received": Case(
        "jsonl",
        [*sent("of-2096", 150, 100), trade("of-2096", 9999, YEAR_2096_MS), *sent("of-2096", 300, 100)[150:]],
        300,
        1,
    ),
    "the first record of 2096": Case(
        "jsonl", [trade("2096-first", 1, YEAR_2096_MS), *sent("2096-first", 9, 100)], 9, 1
    ),
    "one source ends three hours before the other": Case(
        "jsonl", [*sent("early", 120, 1000), *sent("late", 180, 60_000)], 300
    ),
    "one source ends three hours after the other": Case(
        "jsonl", [*sent("z-early", 9, 1000), *sent("a-late", 180, 60_000)], 189
    ),
    "a nested line": Case("jsonl", [trade("nested", 1, T), b"[" * 100_000, trade("nested", 2, T + 1)], 2, bad=1),
    "a byte order mark": Case("jsonl", [b"\xef\xbb\xbf" + msgspec.json.encode(trade("bom", 1, T))], 1),
    "ids as far apart as they may be": Case("jsonl", [trade("far", 0, T), trade("far", 2**63 - 1, T + 1)], 2),
    "the first post of 2099": Case(
        "jetstream", [jetstream(0, {"createdAt": "2099-01-01T00:00:00Z"}), jetstream(1, {}), jetstream(2, {})], 2, 1
    ),
    "posts with fields that are null or odd": Case(
        "jetstream",
        [
            jetstream(number, odd)
            for number, odd in enumerate(
                ({"langs": None}, {"facets": None}, {"tags": [""]}, {"langs": "en"}, {"tags": ["t" * 2000]}), 10
            )
        ],
        5,
    ),
    "texts that take VADER long": Case(
        "jetstream",
        [
            jetstream(number, {"text": f"$AAPL {text}", "langs": ["en"]})
            for number, text in enumerate(("🚀" * 3000, "good but " * 3000, "but " * 8000), 20)
        ],
        3,
    ),
    "statuses with fields that are null, or long": Case(
        "twitter",
        [
            status(1, favorite_count=None),
            status(2, lang=None),
            status(3, entities={"symbols": None}),
            status(4, reply_count=None),
            status(
                5,
                text="cut off…",
                entities={"symbols": []},
                extended_tweet={"full_text": "which is $FB", "entities": {"symbols": [{"text": "FB"}]}},
            ),
        ],
        5,
    ),
}


def write(path: Path, lines: Lines) -> Path:
    path.write_bytes(b"\n".join(one if isinstance(one, bytes) else msgspec.json.encode(one) for one in lines))
    return path


@pytest.mark.parametrize("name", CASES)
def test_by_replay(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    outcome = replay(tmp_path / "out", [write(tmp_path / "file", case.lines)], case.kind)
    assert outcome.lines is not None
    tallies = outcome.tallies
    assert (tallies.counted, tallies.rejected, outcome.lines.bad) == (case.counted, case.rejected, case.bad)
    assert (tallies.late, tallies.repeated, tallies.unmatched) == (0, 0, 0)
    # Nothing is left open, whichever source ends first.
    assert {output: left for output, left in outcome.open.items() if left} == {}


def ahead_of_now() -> Iterator[dict[str, Any]]:
    """Yield one record two hours ahead of now and 200 more of its source; nobody says when they were received."""
    now_ms = int(time.time() * 1000)
    yield trade("two-hours-ahead", 1, now_ms + 2 * HOUR_MS)
    for number in range(200):
        yield trade("two-hours-ahead", 2 + number, now_ms - 30_000 + 100 * number)


@pytest.mark.kafka
@pytest.mark.timeout(180)
def test_by_a_feed(own_kafka: str, tmp_path: Path) -> None:
    live = Case("jsonl", [*ahead_of_now()], 200, 1)
    with running(own_kafka, workers=1) as (settings, _):
        for number, case in enumerate([*CASES.values(), live]):
            path = write(tmp_path / str(number), case.lines)
            command = [sys.executable, "-m", "tickertape", "--broker", own_kafka, "feed", "file", str(path)]
            fed = subprocess.run(
                [*command, "--format", case.kind, "--speed", "max"], check=False, capture_output=True, text=True
            )
            assert fed.returncode == 0, fed.stderr
            assert ("bad line" in fed.stderr) == bool(case.bad)
        bars = finals(settings, TRADES, "bars", Bar)
        finals(settings, POSTS, "social", Chatter)
        by_topic = {topic: tallies(settings, topic) for topic in (TRADES, POSTS)}
    for topic, kinds in ((TRADES, {"jsonl"}), (POSTS, {"jetstream", "twitter"})):
        mine = [case for case in (*CASES.values(), live) if case.kind in kinds]
        total = by_topic[topic]
        assert (total["counted"], total["rejected"]) == (sum(c.counted for c in mine), sum(c.rejected for c in mine))
        assert (total["late"], total["repeated"], total["unmatched"]) == (0, 0, 0)
    assert {bar.source for bar in bars.values()} >= {
        "first-ahead",
        "of-2096",
        "early",
        "late",
        "two-hours-ahead",
        "all",
    }
    assert min(bar.missing for bar in bars.values()) == 0
