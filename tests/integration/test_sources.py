"""More sources than one would think of, each with the longest name it may have: counted, and the pipeline goes on."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.integration.running import all_final, feed, is_read, put, records, running, tallies, until
from tests.replay.running import bars, replay
from tickertape.schemas.heartbeat import HEADER, Heartbeat, to_headers
from tickertape.schemas.topics import COMMIT_STATE, SLICES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster.reshard import reshard
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.kafka.admin import members, topics

pytestmark = pytest.mark.kafka

T = 1_723_161_255_000
SOURCES = [sha256(str(number).encode()).hexdigest()[:24] for number in range(60)]


def trade(source: str, number: int, time_ms: int, symbol: str = "BTC-USDT") -> Trade:
    return Trade(
        symbol=symbol,
        source=source,
        id=number,
        time_ms=time_ms,
        price=100.0,
        quantity=1.0,
        side="buy",
        received_ms=time_ms,
    )


def trades(number: int, time_ms: int) -> list[Trade]:
    """One of each source."""
    return [trade(source, number, time_ms) for source in SOURCES]


def test_sixty_sources_of_long_names_are_counted_also_by_the_next_owner(own_kafka: str) -> None:
    with running(own_kafka, workers=1, partitions={"trades": 4}) as (settings, workers):
        feed(own_kafka, trades(1, T))
        assert len(all_final(settings)) > 0
        workers.kill(0)
        # A minute and a half later, past all that was final.
        feed(own_kafka, trades(2, T + 90_000))
        held = all_final(settings)
        total = tallies(settings)
    assert (total["counted"], total["rejected"], total["late"], total["repeated"]) == (120, 0, 0, 0)
    for time_ms in (T, T + 90_000):
        assert held[f"BTC-USDT|all|1s|{time_ms}"].count == 60
        assert [held[f"BTC-USDT|{source}|1s|{time_ms}"].count for source in SOURCES] == [1] * 60


def in_turn() -> list[Trade]:
    """A source after the other in one partition, each silent from then on; the first comes back, and sends again."""
    turns = [trade(f"s{number}", 1, T + number * 1000) for number in range(130)]
    # It begins where the furthest was that made room, so what it has sent is late.
    return [*turns, trade("s0", 2, T + 200_000), trade("s0", 1, T)]


def test_sources_that_fell_silent_make_room_also_by_replay(own_kafka: str, tmp_path: Path) -> None:
    path = tmp_path / "trades.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, in_turn())))
    outcome = replay(tmp_path / "out", [path], "jsonl", partitions=4)
    # The 65th comes when the first has been silent for 64 s.
    expected = {"counted": 131, "late": 1}
    found = msgspec.structs.asdict(outcome.tallies)
    assert {name: n for name, n in found.items() if n and name != "heartbeats"} == expected
    assert {output: left for output, left in outcome.open.items() if left} == {}
    with running(own_kafka, workers=1, partitions={"trades": 4}) as (settings, workers):
        feed(own_kafka, in_turn()[:100])
        until("it has been read", lambda: is_read(settings))
        workers.kill(0)
        feed(own_kafka, in_turn()[100:])
        held = all_final(settings)
        total = tallies(settings)
    assert {name: n for name, n in total.items() if n and name != "heartbeats"} == expected
    whole = {"|".join(map(str, key)): bar.count for key, bar in bars(tmp_path / "out").items()}
    assert {key: bar.count for key, bar in held.items()} == whole
    assert whole[f"BTC-USDT|s0|1s|{T}"] == whole[f"BTC-USDT|s0|1s|{T + 200_000}"] == 1


def test_a_crowd_of_sources_is_rejected_past_the_room_for_them_and_all_becomes_final(own_kafka: str) -> None:
    refused = counted_in_a_crowd(own_kafka, n_sources=500, n_symbols=500, n_trades=5000)
    assert refused > 3000


def counted_in_a_crowd(broker: str, *, n_sources: int, n_symbols: int, n_trades: int) -> int:
    """Send trades of one source, then of a crowd, then of the one again; return how many records were rejected.

    What has room is known from the log: of each partition 64 sources, and then who speaks a minute past the last one.
    """
    random = Random(1)
    crowd = [
        trade(
            f"s{random.randrange(n_sources)}", i, T + 1000 + i * 10_000 // n_trades, f"A{random.randrange(n_symbols)}"
        )
        for i in range(n_trades)
    ]
    with running(broker, workers=1, partitions={"trades": 4}) as (settings, _):
        feed(broker, [trade("binance", i, T + i) for i in range(100)], close=False)
        feed(broker, crowd)
        feed(broker, [trade("binance", 1000 + i, T + 12_000 + i) for i in range(100)])
        held = all_final(settings)
        total = tallies(settings)
        log = records(broker, "trades")
    lanes: dict[int, dict[str, int]] = {}
    expected = Counter[str]()
    for record in log:
        heartbeat = dict(record.headers).get(HEADER)
        said = msgspec.json.decode(heartbeat or record.value)
        source, time_ms, known = said["source"], said["time_ms"], lanes.setdefault(record.partition, {})
        if source not in known and len(known) == 64 and not said.get("end"):
            behind_ms, silent = min((watermark_ms, name) for name, watermark_ms in known.items())
            if behind_ms < time_ms - 60_000:
                del known[silent]
        if source in known or len(known) < 64:
            known[source] = max(time_ms, known.get(source, 0))
        expected["heartbeats" if heartbeat else "counted" if source in known else "rejected"] += 1
    assert {outcome: n for outcome, n in total.items() if n} == expected
    assert sum(bar.count for key, bar in held.items() if "|all|1s|" in key) == expected["counted"]
    assert sum(bar.count for key, bar in held.items() if "|binance|1s|" in key) == 200
    return expected["rejected"]


def test_more_sources_than_a_commit_names_end_no_worker_and_the_next_owner_says_the_same(own_kafka: str) -> None:
    sources = [sha256(str(number).encode()).hexdigest()[:24] for number in range(240)]
    said: list[str] = []

    def send(number: int, time_ms: int) -> None:
        """Send a trade of each source, 60 a partition, and its end marker."""
        for i, source in enumerate(sources):
            end = tuple(to_headers(Heartbeat(source, time_ms, 4, end=True)))
            value = msgspec.json.encode(trade(source, number, time_ms))
            batch.extend([(i % 4, value, ()), (i % 4, None, end)])
        put(own_kafka, batch)
        batch.clear()

    batch: list[tuple[int, bytes | None, Sequence[tuple[str, bytes]]]] = []
    with running(own_kafka, workers=1, say=said.append, partitions={"trades": 4}, idle_seconds=2.0) as (
        settings,
        workers,
    ):
        send(1, T)
        all_final(settings)
        workers.kill(0)
        send(2, T + 90_000)
        held = all_final(settings)
        total = tallies(settings)
        slices = topics.describe(settings, [SLICES])[0]
        (states,) = topics.describe(settings, [COMMIT_STATE])
    # What its commits refer to is on a topic of its own.
    assert all(partition.upto for partition in slices.partitions)
    assert states.partitions[0].end > 0
    assert not [line for line in said if "can't be committed" in line]
    assert {outcome: n for outcome, n in total.items() if n} == {"counted": 480, "heartbeats": 480}
    for time_ms in (T, T + 90_000):
        assert held[f"BTC-USDT|all|1s|{time_ms}"].count == 240
        assert [held[f"BTC-USDT|{source}|1s|{time_ms}"].count for source in sources] == [1] * 240
    # The hour has what both owners folded, and with other shards the third goes on from that.
    assert held["BTC-USDT|all|1h|1723158000000"].count == 480
    until("its session is over", lambda: not members.describe(settings).owned)
    reshard(settings, 3)
    with Supervisor(settings, 1, said.append):
        send(3, T + 180_000)
        held = all_final(settings)
    assert [held[f"BTC-USDT|{source}|1s|{T + 180_000}"].count for source in sources] == [1] * 240
    assert held["BTC-USDT|all|1h|1723158000000"].count == 720
