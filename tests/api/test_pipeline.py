"""The state of the pipeline, from a real Kafka."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.recent.made import Told
from tests.recent.published import made_topics, of, publish
from tickertape.schemas.topics import BARS, TRADES
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.kafka.clients.producer import Producer


@pytest.mark.kafka
def test_partitions_have_an_end_a_lag_and_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickertape.stream.api.pipeline.EVERY_SECONDS", 0.0)

    async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
        pipeline = Pipeline(settings, [TRADES, BARS], Told().recent, lambda: {"w": {"memory_bytes": 5.0}})
        before = msgspec.json.decode(await pipeline.now())
        async with Producer(settings) as producer:
            await publish(producer, of("A", 0, 1), of("A", 1, 1))
        return before, msgspec.json.decode(await pipeline.now())

    with made_topics() as settings:
        before, after = asyncio.run(ask())
    assert (before["group"], before["workers"]) == ("tickertape", [])
    trades, bars = after["topics"]
    assert (trades["name"], trades["is_input"], trades["lag"], len(trades["partitions"])) == ("trades", True, 0, 4)
    changed = [part for part in bars["partitions"] if part["records_per_second"]]
    assert [(part["end"], part["owner"], part["lag"]) for part in changed] == [(2, None, None)]
    assert before["topics"][1]["partitions"][0]["records_per_second"] is None
    assert after["recent"]["most_bytes"] == 256 << 20


def test_a_kafka_that_can_not_be_reached_is_told() -> None:
    told = Told()
    state = msgspec.json.decode(asyncio.run(Pipeline(told.settings, [TRADES], told.recent).now()))
    assert "127.0.0.1:1" in state["error"]
