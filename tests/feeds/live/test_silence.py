"""Silence of a stream, against its own pace. Time is a number here."""

import random
from collections.abc import Callable, Collection

from tests.feeds.live.acme import stream
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.stream import Stream
from tickertape.stream.feeds.live.silence import Silence, Silent

FAST, SLOW = stream("FAST-USD"), stream("SLOW-USD")
UNKNOWN_SECONDS = 60.0


class World:
    """A clock that ticks once a second, and what was heard until then."""

    def __init__(self, *streams: Stream) -> None:
        self.silence = Silence(streams, UNKNOWN_SECONDS)
        self.now = 1000.0
        self.heard: dict[tuple[type, str], int] = {}
        self.found: list[tuple[float, Silent]] = []

    def go_on(
        self, seconds: float, *speak: tuple[Stream, Callable[[float], bool]], unasked: Collection[Stream] = ()
    ) -> list[tuple[float, Silent]]:
        """Let time pass; return what became suspicious, and when. Each stream speaks where its function says so."""
        until, found = self.now + seconds, []
        while self.now < until:
            self.now += 1.0
            for who, is_heard in speak:
                if is_heard(self.now):
                    self.heard[who.kind, who.symbol] = int((self.now - 0.5) * 1e9)
            found += [(self.now, one) for one in self.silence.look(self.now, self.heard, unasked)]
        return found


def always(_: float) -> bool:
    return True


def each(seconds: float) -> Callable[[float], bool]:
    return lambda now: now % seconds == 0


def test_a_fast_stream_is_suspicious_after_seconds() -> None:
    world = World(FAST)
    assert world.go_on(100, (FAST, always)) == []
    found = world.go_on(30)
    # It spoke within each second, so five seconds are what is borne; twice as many don't help, and so on.
    assert [(round(at - 1100), one.renew) for at, one in found] == [(5, False), (10, True), (20, False)]
    assert all(one.stream is FAST for _, one in found)
    assert len(world.silence.silent) == 1


def test_a_slow_stream_is_not() -> None:
    world = World(FAST, SLOW)
    # While its pace isn't known, it is named after 1, 2, 4 … 32 minutes.
    found = world.go_on(40 * 3600, (FAST, always), (SLOW, each(3600)))
    assert {one.stream for _, one in found} == {SLOW}
    assert len([at for at, _ in found if at < 1000 + 4 * 3600]) == 6
    # By then its pace is known, and an hour isn't suspicious.
    assert [at for at, _ in found if at > 1000 + 4 * 3600] == []
    # The other is still found within seconds.
    found = world.go_on(15, (SLOW, each(3600)))
    assert [one.stream for _, one in found] == [FAST, FAST]


def test_one_that_never_speaks_is_named_after_a_minute_and_ever_more_rarely() -> None:
    world = World(FAST, SLOW)
    found = world.go_on(24 * 3600, (FAST, always))
    assert {one.stream for _, one in found} == {SLOW}
    assert [round((at - 1000) / 60) for at, _ in found] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert [one.renew for _, one in found][:4] == [False, True, False, True]
    # It goes on being found, if only every 1,024 minutes: until the end of the fifth day six times more.
    assert len(world.go_on(4 * 24 * 3600, (FAST, always))) == 6


def test_pauses_that_are_usual_are_not_suspicious() -> None:
    chance = random.Random(7)
    world = World(FAST)
    found = world.go_on(6 * 3600, (FAST, lambda _: chance.random() < 0.3))
    # At most one, before its pace was known.
    assert len(found) <= 1
    # One of ten seconds came now and then, so forty are borne, and not much more.
    ((at, first), *_) = world.go_on(200)
    assert first.usual_seconds * 4 <= at - 1000 - 6 * 3600 + 1 <= 120


def test_a_fault_is_not_learned_as_the_pace_for_long() -> None:
    world = World(FAST)
    world.go_on(100, (FAST, always))
    # It was away for an hour, and back for another.
    world.go_on(3600)
    world.go_on(3600, (FAST, always))
    ((at, _), *_) = world.go_on(20)
    assert at - world.now == 5 - 20


def test_a_stream_that_slows_down_is_not_asked_for_all_the_time() -> None:
    world = World(FAST)
    world.go_on(1000, (FAST, always))
    # The night begins: it speaks every 30 s now.
    found = world.go_on(3600, (FAST, each(30)))
    assert len(found) <= 3


def test_the_first_event_ends_it() -> None:
    world = World(FAST)
    world.go_on(100, (FAST, always))
    assert len(world.go_on(6)) == 1
    world.go_on(1, (FAST, always))
    assert world.silence.silent == []


def test_what_is_not_confirmed_is_not_silent() -> None:
    world = World(FAST)
    assert world.go_on(1000, unasked=[FAST]) == []
    # Its minute begins when it is confirmed.
    assert world.go_on(60) == []
    assert len(world.go_on(1)) == 1


def test_what_is_asked_for_again_because_it_was_silent_still_is() -> None:
    world = World(FAST)
    world.go_on(100, (FAST, always))
    assert [one.renew for _, one in world.go_on(6)] == [False]
    # Nobody answers.
    assert [one.renew for _, one in world.go_on(10, unasked=[FAST])] == [True]


def test_a_new_connection_has_time_to_begin() -> None:
    world = World(FAST)
    world.go_on(100, (FAST, always))
    world.go_on(4)
    world.heard = {}
    world.silence.anew(world.now)
    assert world.go_on(5) == []
    assert len(world.go_on(1)) == 1


def test_kinds_of_one_symbol_are_told_apart_and_rare_ones_are_left_alone() -> None:
    quotes = Stream(kind=Quote, symbol="FAST-USD", channel="quotes", name="FAST_USD")
    rare = Stream(kind=Trade, symbol="RARE-USD", channel="liquidations", name="RARE_USD", is_rare=True)
    world = World(FAST, quotes, rare)
    found = world.go_on(62, (FAST, always))
    assert [one.stream for _, one in found] == [quotes]


def test_a_connection_is_renewed_for_few_streams_every_ten_minutes_at_most() -> None:
    world = World(FAST, SLOW, stream("SLOWER-USD"))
    # None is known, and all are silent.
    world.go_on(100)
    assert world.silence.may_renew(world.now)
    assert world.silence.may_renew(world.now + 1)
    # One speaks, and is the only one that is known.
    world.go_on(100, (FAST, always))
    began = world.now
    assert [second for second in range(1800) if world.silence.may_renew(began + second)] == [501, 1101, 1701]
    # It falls silent, and for four times the hundred seconds in the beginning: of those that are known, that is all.
    world.go_on(402)
    assert world.silence.may_renew(began + 1702)
