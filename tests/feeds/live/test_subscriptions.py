"""Streams are asked for, awaited, and asked for again where one fails alone."""

import json
import logging

import pytest

from tests.feeds.live.acme import Acme, InTheAddress, Unanswering, stream
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.live.subscriptions import Subscriptions, named

SYMBOLS = ("A-USD", "B-USD", "C-USD")
STREAMS = [stream(symbol) for symbol in SYMBOLS]


def subscriptions(
    kind: type[Acme] = Acme, told: dict[Stream, str] | None = None, most_asked: int = 10
) -> Subscriptions:
    source = kind("", SYMBOLS, most_asked)
    return Subscriptions(source, STREAMS, "acme", {} if told is None else told)


def asks(messages: list[str]) -> list[tuple[str, list[str]]]:
    return [(said["op"], said["args"]) for said in map(json.loads, messages)]


def confirmed(*names: str) -> Answer:
    return Answer(confirmed=tuple(("trades", name) for name in names))


def refused(*names: str, why: str = "unknown") -> Answer:
    return Answer(refused=tuple(("trades", name) for name in names), why=why)


def test_all_are_asked_for_in_the_sizes_that_the_source_makes() -> None:
    assert asks(subscriptions(most_asked=2).begin(0.0)) == [
        ("subscribe", ["A_USD", "B_USD"]),
        ("subscribe", ["C_USD"]),
    ]


def test_one_that_is_refused_alone_is_told_once_and_asked_for_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = subscriptions()
    asked.begin(0.0)
    asked.answered(confirmed("A_USD", "C_USD"), 0.1)
    assert not asked.is_settled
    asked.answered(refused("B_USD", why="no such pair"), 0.2)
    assert asked.is_settled
    assert (list(asked.open), asked.refused) == ([STREAMS[1]], 1)
    assert asked.look(10.1, {}) == []
    # After 10 s, then after 20 s more.
    assert asks(asked.look(10.2, {})) == [("subscribe", ["B_USD"])]
    assert (asked.refused, asked.is_settled) == (0, False)
    asked.answered(refused("B_USD", why="no such pair"), 10.5)
    assert asked.look(30.4, {}) == []
    assert asks(asked.look(30.5, {})) == [("subscribe", ["B_USD"])]
    assert caplog.messages == [
        "acme: refused: trades of B-USD (no such pair); it is asked for again after 10 s, then ever more rarely"
    ]
    # Other words are news.
    asked.answered(refused("B_USD", why="in maintenance"), 31.0)
    assert "in maintenance" in caplog.messages[1]
    asked.answered(confirmed("B_USD"), 80.0)
    assert caplog.messages[2:] == ["acme: trades of B-USD is confirmed now"]
    assert not asked.open


def test_the_wait_grows_to_ten_minutes_and_no_more() -> None:
    asked, at, waits = subscriptions(), 0.0, []
    asked.begin(at)
    asked.answered(confirmed("A_USD", "B_USD"), at)
    for _ in range(9):
        asked.answered(refused("C_USD"), at)
        before = at
        while not asked.look(at, {}):
            at += 1.0
        waits.append(at - before)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_one_that_is_never_answered_is_as_good_as_refused(caplog: pytest.LogCaptureFixture) -> None:
    asked = subscriptions()
    asked.begin(0.0)
    asked.answered(confirmed("A_USD"), 0.1)
    # Ten seconds after the one message was sent, for which a thousandth of a second is allowed.
    assert asked.look(10.0, {}) == []
    assert caplog.messages == []
    asked.look(10.01, {})
    assert caplog.messages == [
        "acme: refused: trades of B-USD, trades of C-USD (no answer); it is asked for again after 10 s, then ever more "
        "rarely"
    ]
    assert asks(asked.look(20.1, {})) == [("subscribe", ["B_USD", "C_USD"])]


def test_a_connection_that_never_answers_is_deaf_after_three_times() -> None:
    deaf, answers, brings = subscriptions(), subscriptions(), subscriptions()
    for asked in (deaf, answers, brings):
        asked.begin(0.0)
    answers.answered(confirmed("A_USD"), 0.1)
    for second in range(1, 71):
        deaf.look(second, {})
        answers.look(second, {})
        brings.look(second, {(Trade, "A-USD"): second * 1_000_000_000})
    # Asked at 0, 20 and 50 s, and each time for ten seconds.
    assert [asked.is_deaf for asked in (deaf, answers, brings)] == [True, False, False]


def test_the_time_for_an_answer_begins_when_the_last_message_is_sent() -> None:
    asked = subscriptions(most_asked=1)
    asked._source.messages_per_second = 0.1
    asked.begin(0.0)
    asked.look(39.0, {})
    assert asked.refused == 0
    asked.look(41.0, {})
    assert asked.refused == 3


def test_an_event_confirms_its_stream() -> None:
    asked = subscriptions()
    asked.begin(5.0)
    asked.look(6.0, {(Trade, "A-USD"): 5_500_000_000, (Trade, "B-USD"): 4_000_000_000, (Quote, "C-USD"): 5_500_000_000})
    assert list(asked.open) == STREAMS[1:]


def test_an_answer_without_a_channel_or_a_symbol_is_for_all_of_them() -> None:
    asked = subscriptions()
    asked.begin(0.0)
    asked.answered(Answer(confirmed=(("", "A_USD"),)), 0.1)
    assert list(asked.open) == STREAMS[1:]
    asked.answered(Answer(refused=(("trades", ""),), why="in maintenance"), 0.2)
    assert asked.refused == 3
    asked.answered(Answer(confirmed=(("", ""),)), 0.3)
    assert not asked.open


def test_answers_about_what_was_not_asked_for_change_nothing() -> None:
    asked = subscriptions()
    asked.begin(0.0)
    asked.answered(refused("D_USD"), 0.1)
    asked.answered(confirmed("D_USD"), 0.1)
    assert (len(asked.open), asked.refused) == (3, 0)


def test_a_new_connection_tells_only_of_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    told: dict[Stream, str] = {}
    for _ in range(2):
        asked = subscriptions(told=told)
        assert asks(asked.begin(0.0)) == [("subscribe", ["A_USD", "B_USD", "C_USD"])]
        asked.answered(refused("B_USD"), 0.1)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("kind", [Unanswering, InTheAddress])
def test_where_no_answers_come_none_are_awaited(kind: type[Acme]) -> None:
    asked = subscriptions(kind)
    asked.begin(0.0)
    assert asked.is_settled
    assert asked.look(1000.0, {}) == []
    assert not asked.open


def test_again_ends_a_stream_before_it_asks_anew() -> None:
    asked = subscriptions()
    asked.begin(0.0)
    asked.answered(Answer(confirmed=(("", ""),)), 0.1)
    assert asks(asked.again(STREAMS[:2], 5.0)) == [
        ("unsubscribe", ["A_USD", "B_USD"]),
        ("subscribe", ["A_USD", "B_USD"]),
    ]
    assert list(asked.open) == STREAMS[:2]
    # What is in the address can't be asked for alone.
    assert subscriptions(InTheAddress).again(STREAMS, 5.0) == []


def test_a_log_line_names_a_few(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert named([stream(f"S{n}-USD") for n in range(30)]).endswith("trades of S7-USD and 22 more")
