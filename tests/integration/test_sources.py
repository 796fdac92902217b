"""More sources than one would think of, each with the longest name it may have: counted, and the pipeline goes on."""

from hashlib import sha256

import pytest

from schemas.trade import Trade
from tests.integration.running import all_final, feed, running, tallies

pytestmark = pytest.mark.kafka

T = 1_723_161_255_000
SOURCES = [sha256(str(number).encode()).hexdigest()[:24] for number in range(60)]


def trades(first_id: int, time_ms: int) -> list[Trade]:
    """One of each source."""
    return [
        Trade(
            symbol="BTC-USDT",
            source=source,
            id=first_id,
            time_ms=time_ms,
            price=100.0,
            quantity=1.0,
            side="buy",
            received_ms=time_ms,
        )
        for source in SOURCES
    ]


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
