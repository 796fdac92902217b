"""The oracle, on logs small enough to work out by hand."""

import json

from tickertape.stream.chaos.oracle.truth import Entry, Truth

T0 = 1_700_000_000_000


def trade(offset: int, number: int, time_ms: int, price: float = 10.0, quantity: float = 1.0, **other: object) -> Entry:
    found = {
        "symbol": "A-USD",
        "source": "x",
        "id": number,
        "time_ms": T0 + time_ms,
        "price": price,
        "quantity": quantity,
        "side": "buy",
        "received_ms": T0 + time_ms,
    } | other
    partition = found.pop("partition", 0)
    return Entry(int(str(partition)), offset, T0 + 10_000_000, json.dumps(found).encode(), ())


def beat(offset: int, time_ms: int, source: str = "x", partition: int = 0) -> Entry:
    header = json.dumps({"source": source, "time_ms": T0 + time_ms}).encode()
    return Entry(partition, offset, T0 + 10_000_000, None, (("heartbeat", header),))


def truth(*log: Entry) -> Truth:
    return Truth(log, slice_ms=1000, skew_ms=5000, lateness_ms=2000)


def test_each_record_becomes_one_thing() -> None:
    found = truth(
        beat(0, 0),
        trade(1, 1, 500),
        trade(2, 1, 500),
        trade(3, 2, 9000, received_ms=T0 + 3999),
        Entry(0, 4, T0, b"x 4: not a trade", ()),
        trade(5, 3, 3000),
        # Its slice ended at 1,000 and the frontier is there: late, be it a repeat or not.
        trade(6, 1, 500),
        trade(7, 4, 999),
        trade(8, 5, 1000),
    )
    assert dict(found.tallies[0]) == {"heartbeats": 1, "counted": 3, "repeated": 1, "rejected": 2, "late": 2}
    assert (found.rejected, found.late) == ({(0, 3, None), (0, 4, None)}, {(0, 6, None), (0, 7, None)})
    assert [t.id for t in found.trades] == [1, 3, 5]


def test_lateness_is_a_lane_s_own() -> None:
    found = truth(
        beat(0, 60_000, source="y"),
        beat(0, 60_000, partition=1),
        trade(1, 1, 500),
        trade(1, 2, 500, partition=1),
    )
    assert found.late == {(1, 1, None)}


def test_events_of_a_bundle_share_its_offset() -> None:
    log = [trade(0, 1, 500), trade(1, 2, 4000), trade(1, 2, 4000), trade(1, 3, 999), trade(2, 4, 4000)]
    found = truth(*(entry._replace(event=event) for entry, event in zip(log, (None, 0, 1, 2, None), strict=True)))
    assert dict(found.tallies[0]) == {"counted": 3, "repeated": 1, "late": 1, "bundled": 3, "bundles": 1}
    assert found.late == {(0, 1, 2)}


def test_an_event_time_past_the_append_time_is_rejected_whatever_the_feed_says() -> None:
    early = trade(0, 1, 10_005_001, received_ms=T0 + 10_005_001)
    assert truth(early).rejected == {(0, 0, None)}
    assert truth(trade(0, 1, 10_005_000, received_ms=T0 + 10_005_000)).rejected == set()


def test_bars_worked_out_by_hand() -> None:
    found = truth(
        trade(0, 7, 800, price=12.0, quantity=2.0),
        trade(1, 5, 800, price=11.0, side="sell"),
        trade(2, 6, 1200, price=10.0, quantity=3.0),
        trade(3, 9, 1900, price=20.0, source="y"),
    ).bars()
    assert found["A-USD", "x", "1s", T0] == {
        "open": 11.0,
        "high": 12.0,
        "low": 11.0,
        "close": 12.0,
        "open_ms": T0 + 800,
        "close_ms": T0 + 800,
        "volume": 3.0,
        "notional": 35.0,
        "vwap": 35.0 / 3,
        "count": 2,
        "buy_volume": 2.0,
        "buy_share": 2 / 3,
        "largest": 2.0,
        "realised_volatility": 0.0,
        "missing": 1,
        "final": True,
        "revision": 2,
        "incomplete": False,
    }
    whole = found["A-USD", "all", "1m", T0 - 20_000]
    assert (whole["count"], whole["volume"], whole["close"], whole["missing"]) == (4, 7.0, 20.0, 0)
    # From the close of the first second, 12, to that of the next, 20.
    assert round(whole["realised_volatility"], 12) == 0.510825623766
    assert {(source, resolution) for _, source, resolution, _ in found} == {
        (source, resolution) for source in ("x", "y", "all") for resolution in ("1s", "1m", "5m", "15m", "1h")
    }
