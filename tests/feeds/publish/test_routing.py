"""By which number of partitions an event is routed, and what a step does that comes too late."""

from tickertape.schemas.control import Step
from tickertape.schemas.heartbeat import Keyed
from tickertape.stream.feeds.publish.routing import Routing
from tickertape.stream.kafka.partition import partition_for

# A minute's start: 2024-08-09 00:00:00 UTC.
T = 1_723_161_600_000
STEPS = (Step(0, 2), Step(T, 3), Step(T + 5000, 8))


def partitions(routing: Routing, *times_ms: int) -> list[int]:
    return [routing.at(time_ms).partitions for time_ms in times_ms]


def test_the_event_time_decides_to_the_millisecond() -> None:
    assert partitions(Routing(STEPS, {}), 5, T - 1, T, T + 4999, T + 5000, T + 10**9) == [2, 2, 3, 3, 8, 8]


def test_the_first_step_goes_for_all_that_is_before_it_too() -> None:
    assert partitions(Routing([Step(T, 4)], {}), -1, T - 1, T) == [4, 4, 4]


def test_an_era_knows_how_far_it_goes() -> None:
    era = Routing(STEPS, {}).at(T + 1)
    assert (era.since_ms, era.until_ms) == (T, T + 5000)


def test_a_symbol_goes_where_kafkas_own_producers_send_it() -> None:
    era = Routing(STEPS, {}).at(T + 5000)
    assert era["BTC-USDT"] == (partition_for("BTC-USDT", 8), b"BTC-USDT", 1)


def test_a_spread_symbol_has_neighbouring_partitions_and_no_more_than_there_are() -> None:
    routing = Routing(STEPS, {"BTC-USDT": 3})
    for time_ms, over in ((T - 1, 2), (T + 5000, 3)):
        era = routing.at(time_ms)
        place = era["BTC-USDT"]
        found = {era.one_of(place, number) for number in range(1000)}
        assert found == {(place.partition + n) % era.partitions for n in range(over)}
        assert era["ETH-USDT"].over == 1


def test_heartbeats_promise_the_steps_and_name_the_spread_symbols() -> None:
    keyed = (Keyed(0, 2), Keyed(T, 3), Keyed(T + 5000, 8))
    assert Routing(STEPS, {"ETH-USDT": 2, "BTC-USDT": 4, "SOL-USDT": 1}).promise == (keyed, ("BTC-USDT", "ETH-USDT"))
    # The first step is valid for all earlier times.
    assert Routing([Step(T, 4)], {}).promise == ((Keyed(0, 4),), ())


def test_heartbeats_stay_small() -> None:
    many = [Step(T + n * 1000, n + 1) for n in range(12)]
    keyed, _ = Routing(many, {}).promise
    assert [step.partitions for step in keyed] == [5, 6, 7, 8, 9, 10, 11, 12]
    assert keyed[0].from_ms == T + 4000
    assert len(Routing(STEPS, {f"S{n}": 2 for n in range(64)}).promise[1]) == 64
    # Then nothing is promised.
    assert Routing(STEPS, {f"S{n}": 2 for n in range(65)}).promise == ((), ())
    assert Routing(STEPS, {"S" * 65: 2}).promise == ((), ())


def test_a_step_to_come_is_taken_as_it_is() -> None:
    routing = Routing([Step(0, 2)], {}).next((Step(0, 2), Step(T + 1000, 4)), T + 999)
    assert routing.steps == (Step(0, 2), Step(T + 1000, 4))


def test_a_step_that_has_passed_is_taken_from_the_next_minute_on() -> None:
    later = (Step(0, 2), Step(T + 1000, 4), Step(T + 90_000, 8))
    routing = Routing([Step(0, 2)], {}).next(later, T + 1000)
    assert routing.steps == (Step(0, 2), Step(T + 60_000, 4), Step(T + 90_000, 8))
    # Hearing of it once more changes nothing; and another one still comes as it is.
    assert routing.next(later, T + 1500).steps == routing.steps
    assert routing.next((*later, Step(T + 99_000, 9)), T + 70_000).at(T + 99_000).partitions == 9


def test_spreading_outlives_a_step() -> None:
    routing = Routing([Step(0, 4)], {"A-B": 4}).next((Step(0, 4), Step(T, 8)), T - 1)
    assert routing.at(T)["A-B"].over == 4
