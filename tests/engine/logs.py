"""Random logs, for hypothesis: two sources and two symbols, disorder, repeats, heartbeats, holes and bad records."""

from hypothesis import strategies as st

from tests.engine.blocks import Log

LONG_AGO_MS = -1_000_000
FAR_MS = 1_000_000

_ticks = st.tuples(
    st.just("tick"),
    st.integers(-3500, 900),  # how far from a clock that goes on by 300 ms a record
    st.integers(0, 9),
    st.sampled_from([0.1, 0.7, 1.3, 1e6]),
    st.sampled_from("sst"),
    st.sampled_from("AD"),  # which two shards or three keep apart
    st.sampled_from(["both", "both", "appended", "too early", "too early to append", "appended too early"]),
)
_others = st.one_of(
    st.tuples(st.just("beat"), st.integers(-3500, 1500), st.sampled_from("st")),
    st.tuples(st.just("bad")),
    st.tuples(st.just("hole"), st.integers(1, 3)),
)
_steps = st.lists(st.one_of(_ticks, _ticks, _ticks, _others), min_size=1, max_size=40)


@st.composite
def logs(draw: st.DrawFn, partition: int = 0, *, opened: bool = False, closed: bool = False) -> Log:
    """Draw a log.

    One that is ``opened`` begins with heartbeats before all that it holds, as a feed's does: a source that is heard of
    only when results are final is too late for them. One that is ``closed`` ends with heartbeats past all.
    """
    log = Log(partition)
    if opened:
        log.beat(LONG_AGO_MS, "s").beat(LONG_AGO_MS, "t")
    for i, step in enumerate(draw(_steps)):
        clock = 10_000 + 300 * i
        match step:
            case "tick", behind, number, value, source, symbol, receipt:
                at = clock + behind
                received = {"both": at, "appended too early": at, "too early": at - 5001}.get(receipt, 0)
                appended = at - 5001 if receipt in ("too early to append", "appended too early") else at
                log.tick(at, number, value, source=source, symbol=symbol, received=received, appended=appended)
            case "beat", behind, source:
                log.beat(clock + behind, source)
            case ("bad",):
                log.raw(b"{")
            case "hole", offsets:
                log.hole(offsets)
    if closed:
        log.beat(FAR_MS, "s").beat(FAR_MS, "t")
    return log
