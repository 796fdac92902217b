"""Trades as a rough feed would have them: two sources, out of order, some too late, some twice."""

from random import Random

from msgspec.structs import replace

from tickertape.schemas.trade import Trade

START_MS = 1_723_161_255_000
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "ADA-USD")


def trades(n: int, seed: int = 1) -> list[Trade]:
    """Return about so many, in the order in which they were received, 50 a second."""
    random = Random(seed)
    found: list[Trade] = []
    for i in range(n):
        time_ms = START_MS + 20 * i
        # One in fifty is so slow that its second may have closed.
        delay_ms = random.randrange(1500) if random.random() < 0.98 else random.randrange(4000, 9000)
        found.append(
            Trade(
                symbol=random.choice(SYMBOLS),
                source="one" if random.random() < 0.7 else "two",
                id=i,
                time_ms=time_ms,
                price=round(random.uniform(10, 1000), 2),
                quantity=round(random.expovariate(1) + 0.001, 6),
                side=random.choice(("buy", "sell")),
                received_ms=time_ms + delay_ms,
            )
        )
    found += [replace(trade, received_ms=trade.received_ms + 1) for trade in random.sample(found, n // 100)]
    return sorted(found, key=lambda trade: trade.received_ms)
