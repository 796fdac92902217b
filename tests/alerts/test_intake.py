"""What follows from a signal and from the time: what is due, grouped, retracted, and dropped."""

from typing import Any

from tests.alerts.made import START_MS, alert
from tickertape.agents.signals import Signal
from tickertape.schemas.alert import Alert, Due, Fact, Sending, Sent, Skipped, decode, encode, key_of
from tickertape.stream.alerts.intake import Intake
from tickertape.stream.alerts.outbox import MOST_MEMBERS, Outbox
from tickertape.stream.alerts.plan import Plan, Quiet, Route

END_MS = START_MS + 1000
# The windows end on Tuesday, 14 November 2023 at 22:13:21 UTC.
QUIET = Quiet("22:00", "07:00", "UTC")
MORNING_MS = 1_700_031_600_000  # Wednesday 07:00 UTC


class Desk:
    """An outbox, and what fills it."""

    def __init__(self, **route: Any) -> None:
        self.outbox = Outbox()
        plan = Plan({"breakout": "critical"}, {"ops": None}, [Route(["ops"], **route)])  # type: ignore[dict-item]  # it isn't called
        self.intake = Intake(plan, self.outbox, {"1s": 1000})
        self.facts: list[Fact] = []

    def note(self, *facts: Fact) -> list[Fact]:
        for fact in facts:
            assert decode(encode(fact)) == fact
            self.outbox.apply(fact)
        self.facts += facts
        return list(facts)

    def receive(self, one: Alert, now_ms: int = END_MS) -> list[Fact]:
        return self.note(*self.intake.received(one, now_ms))

    def pass_time(self, now_ms: int) -> list[Fact]:
        return self.note(*list(self.intake.passed(now_ms)))

    def send(self, now_ms: int, ref: str = "") -> Sending | None:
        packed = self.outbox.pack("ops", now_ms)
        if packed is not None:
            self.note(packed)
            self.note(Sent(packed.id, "ops", packed.stage, packed.members, "sent", now_ms, ref))
        return packed


def test_a_signal_becomes_an_alert() -> None:
    signal = Signal("breakout", "BTC-USD", "all", "1s", START_MS, "bars", "close", 103.0, 102.0, True, 2, False)
    assert Desk().intake.alert_of(signal) == alert()


def test_a_final_signal_is_due_once() -> None:
    desk = Desk(group_seconds=5, max_age_seconds=60)
    (due,) = desk.receive(alert())
    assert due == Due("ops", "fired", alert(), END_MS, END_MS + 5000, END_MS + 65_000)
    assert key_of(due) == b"due|ops|fired|breakout|BTC-USD|all|1s|1700000000000"
    assert desk.receive(alert(revision=3)) == []
    desk.send(END_MS + 5000)
    assert desk.receive(alert()) == []


def test_provisional_signals_wait_unless_a_route_takes_them() -> None:
    assert Desk().receive(alert(final=False)) == []
    (due,) = Desk(provisional=True, confirm_seconds=30).receive(alert(final=False))
    assert isinstance(due, Due)
    assert due.confirm_by_ms == END_MS + 30_000


def test_alerts_of_a_group_are_one_message() -> None:
    desk = Desk(group_seconds=5)
    desk.receive(alert())
    desk.receive(alert(symbol="ETH-USD"), END_MS + 4000)
    assert desk.outbox.pack("ops", END_MS + 4999) is None
    assert desk.outbox.pack("other", END_MS + 5000) is None
    sending = desk.send(END_MS + 5000)
    assert sending is not None
    assert sending.members == [alert().id, alert(symbol="ETH-USD").id]
    assert desk.send(END_MS + 60_000) is None


def test_a_message_has_a_limit() -> None:
    desk = Desk(group_seconds=0)
    for n in range(MOST_MEMBERS + 1):
        desk.receive(alert(symbol=f"S{n:02d}"))
    sizes = [len(sending.members) for _ in range(2) if (sending := desk.send(END_MS)) is not None]
    assert sizes == [MOST_MEMBERS, 1]


def test_quiet_hours_hold_alerts_and_do_not_age_them() -> None:
    desk = Desk(quiet=QUIET, group_seconds=5, max_age_seconds=60)
    (due,) = desk.receive(alert())
    assert due == Due("ops", "fired", alert(), MORNING_MS, MORNING_MS + 5000, MORNING_MS + 65_000)
    assert desk.pass_time(MORNING_MS) == []
    assert desk.send(MORNING_MS + 4999) is None
    assert desk.send(MORNING_MS + 5000) is not None


def test_an_exempt_alert_takes_no_quiet_one_along() -> None:
    desk = Desk(quiet=Quiet("22:00", "07:00", "UTC", not_for=["critical"]), group_seconds=0)
    desk.receive(alert(symbol="ETH-USD", severity="info"))
    desk.receive(alert())
    sending = desk.send(END_MS)
    assert sending is not None
    assert sending.members == [alert().id]


def test_quiet_hours_may_drop() -> None:
    desk = Desk(quiet=Quiet("22:00", "07:00", "UTC", drop=True))
    assert desk.receive(alert()) == [Skipped("ops", "fired", alert().id, "quiet")]
    assert desk.receive(alert(), MORNING_MS) == []


def test_what_is_too_old_is_skipped_when_it_comes_and_when_it_waits() -> None:
    desk = Desk(max_age_seconds=60, group_seconds=1)
    assert desk.receive(alert(), END_MS + 60_001) == [Skipped("ops", "fired", alert().id, "too old")]
    desk = Desk(max_age_seconds=60, group_seconds=1)
    desk.receive(alert(), END_MS + 60_000)
    assert desk.pass_time(END_MS + 61_000) == []
    assert desk.pass_time(END_MS + 61_001) == [Skipped("ops", "fired", alert().id, "too old")]
    assert desk.send(END_MS + 61_001) is None


def reported(**route: Any) -> Desk:
    """Return a desk that has sent a provisional alert."""
    desk = Desk(**{"provisional": True, "confirm_seconds": 30, "group_seconds": 0} | route)
    desk.receive(alert(final=False, revision=1))
    desk.send(END_MS, "17")
    return desk


def test_a_final_value_that_is_the_same_is_no_news() -> None:
    desk = reported()
    assert desk.receive(alert()) == [Skipped("ops", "confirmed", alert().id, "unchanged")]
    assert desk.pass_time(END_MS + 600_000) == []


def test_a_final_value_that_differs_follows_up() -> None:
    desk = reported()
    (due,) = desk.receive(alert(value=104.0))
    assert isinstance(due, Due)
    assert (due.stage, due.alert.value) == ("confirmed", 104.0)
    assert desk.receive(alert(value=104.0)) == []
    sending = desk.send(END_MS)
    assert sending is not None
    assert (sending.stage, sending.reply_to) == ("confirmed", "17")


def test_what_is_not_confirmed_in_time_is_retracted_once() -> None:
    desk = reported()
    assert desk.pass_time(END_MS + 30_000) == []
    (due,) = desk.pass_time(END_MS + 30_001)
    assert isinstance(due, Due)
    assert due.stage == "retracted"
    sending = desk.send(END_MS + 30_001, "18")
    assert sending is not None
    assert (sending.stage, sending.reply_to) == ("retracted", "17")
    assert desk.pass_time(END_MS + 60_000) == []
    # It becomes final after all: what was retracted is said again.
    (due,) = desk.receive(alert(), END_MS + 90_000)
    assert isinstance(due, Due)
    assert due.stage == "confirmed"


def test_a_retraction_that_was_not_sent_yet_is_dropped_by_the_final_signal() -> None:
    desk = reported()
    desk.pass_time(END_MS + 30_001)
    assert desk.receive(alert(), END_MS + 30_002) == [
        Skipped("ops", "retracted", alert().id, "unchanged"),
        Skipped("ops", "confirmed", alert().id, "unchanged"),
    ]
    assert desk.send(END_MS + 40_000) is None


def test_confirm_seconds_of_zero_never_retract() -> None:
    desk = reported(confirm_seconds=0)
    assert desk.pass_time(END_MS + 10_000_000) == []
    assert [type(fact) for fact in desk.receive(alert(value=104.0))] == [Due]


def test_an_alert_that_nobody_was_told_of_is_sent_with_its_final_value_or_not_at_all() -> None:
    desk = Desk(provisional=True, confirm_seconds=30, group_seconds=60, max_age_seconds=600)
    desk.receive(alert(final=False, revision=1, value=101.0))
    (due,) = desk.receive(alert())
    assert isinstance(due, Due)
    assert desk.outbox.waiting[due.delivery].alert.value == 103.0
    assert desk.pass_time(END_MS + 59_000) == []
    desk = Desk(provisional=True, confirm_seconds=30, group_seconds=60, max_age_seconds=600)
    desk.receive(alert(final=False, revision=1))
    assert desk.pass_time(END_MS + 30_001) == [Skipped("ops", "fired", alert().id, "unconfirmed")]


def test_a_follow_up_waits_for_the_outcome_of_what_it_follows() -> None:
    desk = Desk(provisional=True, group_seconds=0)
    desk.receive(alert(final=False, revision=1))
    packed = desk.outbox.pack("ops", END_MS)
    assert packed is not None
    desk.note(packed)
    desk.receive(alert(value=104.0))
    assert desk.outbox.pack("ops", END_MS) is None
    desk.note(Sent(packed.id, "ops", "fired", packed.members, "refused", END_MS))
    assert desk.pass_time(END_MS) == [Skipped("ops", "confirmed", alert().id, "not sent")]


def test_a_successor_that_reads_the_facts_knows_the_same() -> None:
    desk = reported()
    desk.receive(alert(symbol="ETH-USD", final=False, revision=1))
    desk.note(Sending("m", "ops", "fired", [alert(symbol="ETH-USD").id]))
    successor = Outbox()
    for fact in desk.facts:
        successor.apply(fact)
    found = successor.unfinished("ops")
    assert found is not None
    assert found[0].id == "m"
    assert [due.alert.symbol for due in found[1]] == ["ETH-USD"]
    assert successor.reported.keys() == desk.outbox.reported.keys()
    # Facts that are read again change nothing.
    for fact in desk.facts:
        successor.apply(fact)
    assert successor.waiting == {}


def test_what_a_frozen_process_repeats_changes_nothing() -> None:
    desk = Desk(group_seconds=0)
    (due,) = desk.receive(alert())
    packed = desk.outbox.pack("ops", END_MS)
    assert packed is not None
    # Compaction has kept the repeated record alone, so it comes after the message that holds it.
    successor = Outbox()
    for fact in (packed, due):
        successor.apply(fact)
    assert successor.unfinished("ops") == (packed, [due])
    assert successor.pack("ops", END_MS) is None
    successor.apply(Sent(packed.id, "ops", "fired", packed.members, "sent", END_MS))
    successor.apply(due)
    successor.apply(packed)
    assert successor.unfinished("ops") is None
    assert successor.pack("ops", END_MS) is None


def test_old_deliveries_are_forgotten() -> None:
    desk = reported()
    name = f"ops|fired|{alert().id}"
    desk.outbox.forget(END_MS + 13 * 86_400_000)
    assert name in desk.outbox
    desk.outbox.forget(END_MS + 15 * 86_400_000)
    assert name not in desk.outbox
    assert desk.outbox.reported == {}
