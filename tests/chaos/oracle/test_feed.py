"""What a feed sends is a function of its plan, and where it goes one of event time."""

import json
from collections import Counter
from random import Random

import msgspec

from tickertape.schemas.topics import POSTS, QUOTES, TRADES
from tickertape.stream.chaos.oracle.bundles import events_of
from tickertape.stream.chaos.oracle.feed import KINDS, Plan, Record, in_bundles, place, post, quote, record
from tickertape.stream.kafka.partition import partition_for

PLAN = Plan("x", seed=7, rate=500.0, symbols=20, began_ms=1_700_000_000_000, folder="")


def test_the_same_number_is_the_same_record_after_a_restart() -> None:
    before = [record(PLAN, n) for n in range(500)]
    record.cache_clear()
    assert [record(PLAN, n) for n in range(250, 500)] == before[250:]
    assert record(Plan("x", 8, 500.0, 20, PLAN.began_ms, ""), 0) != before[0]


def test_some_are_repeated_some_late_and_some_to_be_rejected() -> None:
    sent = [record(PLAN, n) for n in range(10_000)]
    copies = Counter(found.value for found in sent)
    assert 200 < len(sent) - len(copies) < 400
    late = [n for n, found in enumerate(sent) if found.time_ms < PLAN.due_ms(n) - 12_000]
    assert 200 < len(late) < 450
    assert 5 < sum(b"not a trade" in found.value for found in sent) < 50
    trades = [(n, json.loads(found.value)) for n, found in enumerate(sent) if b"not a trade" not in found.value]
    assert 5 < sum(trade["time_ms"] > PLAN.due_ms(n) for n, trade in trades) < 50
    # No partition is used before its time because of a clock that is wrong.
    assert all(found.time_ms <= PLAN.due_ms(n) for n, found in enumerate(sent))


def test_a_repeat_goes_where_the_first_went_though_partitions_were_added_meanwhile() -> None:
    places = [(0, 4), (5000, 7)]
    before, after = Record("S03-USD", 4999, b""), Record("S03-USD", 5000, b"")
    assert place(before, places) == place(before, places[:1]) == partition_for("S03-USD", 4)
    assert place(after, places) == partition_for("S03-USD", 7)


def test_quotes_come_beside_trades_and_are_the_same_after_a_restart() -> None:
    sent = [quote(PLAN, n) for n in range(1000)]
    assert [quote(PLAN, n) for n in range(500, 1000)] == sent[500:]
    found = [json.loads(one.value) for one in sent]
    assert all(0 < one["bid"] < one["ask"] for one in found)
    late = sum(one["time_ms"] < PLAN.due_ms(n) - 12_000 for n, one in enumerate(found))
    assert 10 < late < 60


def test_posts_name_one_symbol_two_or_none() -> None:
    found = [json.loads(post(PLAN, n)[1]) for n in range(300)]
    assert [post(PLAN, n) for n in range(10)] == [post(PLAN, n) for n in range(10)]
    assert Counter(len(one.get("symbols", ())) for one in found).keys() == {0, 1, 2}
    assert 50 < sum("copy_of" in one for one in found) < 250


def test_bundles_hold_the_same_events_in_the_same_order() -> None:
    sent = [record(PLAN, n) for n in range(3000)]
    for topic, events in (
        (TRADES, [(found.symbol, found.value) for found in sent]),
        (QUOTES, [("a", quote(PLAN, n).value) for n in range(500)]),
        (POSTS, [post(PLAN, n) for n in range(300)]),
    ):
        found, sizes = [], Counter[int]()
        for key, value, headers in in_bundles(topic, events, Random(1)):
            inside = events_of(value, dict(headers))
            assert (key is None) == (inside is not None)
            sizes[len(inside or ())] += 1
            texts = [msgspec.json.encode(msgspec.convert(event, KINDS[topic])) for event in inside or ()]
            found += texts if inside else [value]
        assert found == [value for _, value in events]
        assert {0, 2} < sizes.keys()
    garbage = [headers for _, value, headers in in_bundles(TRADES, [("a", b"x 1: not a trade")] * 50, Random(1))]
    assert 10 < sum(map(bool, garbage)) < 40
