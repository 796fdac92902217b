"""What counts as a difference between a sink and a replay, and what can't be compared."""

import msgspec
from msgspec.structs import replace

from tickertape.agents.market.bars import TRADE_BARS, Bar
from tickertape.schemas.frame import Tallies
from tickertape.stream.replay.run import Outcome
from tickertape.stream.replay.verify import NOT_FILLED, NOT_YET, STILL_OPEN, TRIMMED, Compared, Held, Made, compare

T = 1_723_161_255_000
BAR = Bar(
    symbol="A-USD",
    source="all",
    resolution="1s",
    start_ms=T,
    open=1.0,
    high=1.5,
    low=0.1 + 0.2,
    close=1.0,
    open_ms=T,
    close_ms=T + 9,
    volume=3.0,
    notional=3.0,
    vwap=1.0,
    count=2,
    buy_volume=1.0,
    buy_share=0.5,
    largest=2.0,
    realised_volatility=0.0,
    missing=0,
    final=True,
    revision=2,
    incomplete=False,
)
LATER = replace(BAR, start_ms=T + 1000)
BARS = Made(TRADE_BARS.output, "bars", TRADE_BARS.resolutions)


def key(bar: Bar) -> str:
    return f"{bar.symbol}|{bar.source}|{bar.resolution}|{bar.start_ms}"


def found(live: list[Bar], replayed: list[Bar], trimmed_ms: int = 0, still_open: tuple[Bar, ...] = ()) -> Compared:
    held = {
        key(bar): Held(msgspec.json.encode(bar), bar.final, bar.revision, 3, offset) for offset, bar in enumerate(live)
    }
    outcome = Outcome(0, Tallies(), {}, {"bars": list(map(key, still_open))}, trimmed_ms=trimmed_ms)
    return compare(BARS, held, iter(replayed), outcome)


def test_the_same_bars_agree() -> None:
    compared = found([BAR, LATER], [LATER, BAR])
    assert compared == Compared("bars", agree=2)
    assert str(compared) == "2 bars agree"


def test_the_last_bit_of_a_float_counts() -> None:
    compared = found([replace(BAR, low=0.3), LATER], [BAR, LATER])
    assert compared.agree == 1
    assert compared.differences == [
        f"bars: A-USD|all|1s|{T}: low is 0.3 on the sink (partition 3, offset 0) and 0.30000000000000004 in the replay"
    ]


def test_a_record_from_before_a_field_existed_agrees_in_all_others() -> None:
    older = {name: value for name, value in msgspec.to_builtins(BAR).items() if name != "trades"}
    held = {key(BAR): Held(msgspec.json.encode(older), True, 2, 0, 0)}
    outcome = Outcome(0, Tallies(), {}, {"bars": []})
    now = replace(BAR, trades=5)
    assert compare(BARS, held, iter([now]), outcome).agree == 1
    (line,) = compare(BARS, held, iter([replace(now, high=2.0)]), outcome).differences
    assert "high is 1.5 on the sink" in line


def test_the_earliest_difference_comes_first() -> None:
    compared = found([replace(LATER, count=3), replace(BAR, high=2.0)], [LATER, BAR])
    assert [line.split(": ")[1:3] for line in compared.differences] == [
        [key(BAR), "high is 2.0 on the sink (partition 3, offset 1) and 1.5 in the replay"],
        [key(LATER), "count is 3 on the sink (partition 3, offset 0) and 2 in the replay"],
    ]


def test_events_that_came_past_the_horizon_are_named_as_the_cause() -> None:
    (line,) = found([replace(BAR, volume=2.0, revision=1)], [BAR]).differences
    assert "the workers counted 1 of 2 events: a source probably resumed after the horizon had passed" in line


def test_a_bar_that_the_log_has_nothing_of_is_a_difference() -> None:
    (line,) = found([BAR], []).differences
    assert line == f"bars: {key(BAR)}: the sink counts 2 events in it (partition 3, offset 0), the replay none"


def test_a_bar_that_is_missing_before_later_finals_is_a_difference() -> None:
    (line,) = found([LATER], [BAR, LATER]).differences
    assert line.startswith(f"bars: {key(BAR)}: it is missing on the sink, though later ones of its symbol are final")
    (line,) = found([replace(BAR, final=False), LATER], [BAR, LATER]).differences
    assert line.startswith(f"bars: {key(BAR)}: it is not final (partition 3, offset 0), though later ones")


def test_a_bar_that_the_workers_have_not_come_to_is_left_out() -> None:
    compared = found([BAR, replace(LATER, final=False)], [BAR, LATER, replace(LATER, start_ms=T + 2000)])
    assert compared == Compared("bars", agree=1, left_out={NOT_YET: 2})
    assert str(compared) == "1 bars agree\n  left out: 2 not final yet on the sink"


def test_a_bar_that_the_log_leaves_open_is_left_out() -> None:
    assert found([BAR], [], still_open=(BAR,)) == Compared("bars", left_out={STILL_OPEN: 1})


def test_bars_of_which_input_is_gone_are_left_out() -> None:
    gone = replace(BAR, start_ms=T - 1000)
    assert found([gone, BAR], [replace(gone, count=1), BAR], T) == Compared("bars", agree=1, left_out={TRIMMED: 1})
    assert found([gone, BAR], [BAR], T) == Compared("bars", agree=1, left_out={TRIMMED: 1})
    # Or the workers say so themselves.
    assert found([replace(BAR, incomplete=True)], [BAR]) == Compared("bars", left_out={TRIMMED: 1})


def test_a_filled_bar_that_the_workers_lack_is_left_out() -> None:
    assert found([LATER], [replace(BAR, revision=0), LATER]) == Compared("bars", agree=1, left_out={NOT_FILLED: 1})


def test_a_record_that_is_no_bar_is_told_of() -> None:
    held = {key(BAR): Held(b'{"final":true,"revision":2}', True, 2, 0, 7)}
    (line,) = compare(BARS, held, iter([BAR]), Outcome(0, Tallies(), {}, {"bars": []})).differences
    assert line == f"bars: {key(BAR)}: the sink's record is not a valid Bar (partition 0, offset 7)"
