"""Log lines: as JSON, and the same one again and again no more than once in ten seconds."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tickertape.stream.telemetry import logs
from tickertape.stream.telemetry.logs import AsJson, Repeats, told


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(Repeats())
    loggers = [logging.getLogger(name) for name in ("tickertape.stream.x", "aiokafka.x")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    yield out
    for logger in loggers:
        logger.removeHandler(handler)
        logger.propagate = True


def test_what_a_library_says_again_is_held_back_and_counted(clock: list[float], out: io.StringIO) -> None:
    log = logging.getLogger("aiokafka.x")
    for second in range(12):
        clock[0] = 100 + second
        log.error("no connection to %s at try %d", "b:9092", second)
    assert out.getvalue().splitlines() == [
        "ERROR no connection to b:9092 at try 0",
        "ERROR no connection to b:9092 at try 10 (9 more times since it was last logged)",
    ]


def test_of_ours_only_the_very_same_line_is(clock: list[float], out: io.StringIO) -> None:
    log = logging.getLogger("tickertape.stream.x")
    for _ in range(3):
        log.warning("Kafka is away")
        log.warning("gap of %d", len(out.getvalue()))
        log.info("a step")
    said = out.getvalue().splitlines()
    assert said.count("WARNING Kafka is away") == 1
    assert said.count("INFO a step") == 3
    assert sum(line.startswith("WARNING gap") for line in said) == 3
    clock[0] = 10.0
    log.warning("Kafka is away")
    assert out.getvalue().splitlines()[-1] == "WARNING Kafka is away (2 more times since it was last logged)"


@pytest.mark.usefixtures("clock")
def test_lines_without_end_are_not_all_remembered() -> None:
    log, held = logging.getLogger("tickertape.stream.x"), Repeats()
    for number in range(5000):
        record = log.makeRecord(log.name, logging.WARNING, "f", 1, "line %d", (number,), None)
        assert held.filter(record)
    assert len(held._seen) <= logs.MOST_LINES


def test_a_line_as_json() -> None:
    try:
        raise RuntimeError("why")
    except RuntimeError as error:
        what = type(error), error, error.__traceback__
        record = logging.LogRecord("tickertape.stream.x", logging.ERROR, "f", 1, 'a "%s"\n', ("b",), what)
    line = AsJson().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("error", "tickertape.stream.x", 'a "b"\n')
    assert found["exception"].endswith("RuntimeError: why")
    assert found["time"].endswith("+00:00")


def test_a_workers_line_has_its_name() -> None:
    assert told("it is up", "worker-0", "text") == "worker-0 | it is up"
    assert json.loads(told("it is up", "worker-0", "json")) == {"process": "worker-0", "message": "it is up"}
    assert json.loads(told('{"level":"info"}', "worker-0", "json")) == {"process": "worker-0", "level": "info"}
