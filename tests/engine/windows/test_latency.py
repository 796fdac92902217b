"""How long events wait until they are among results."""

import time

import pytest
from msgspec.structs import replace

from tests.engine.made_frames import frame, upsert
from tickertape.schemas.frame import Frame, Lane
from tickertape.stream.engine.windows.latency import Latency
from tickertape.stream.telemetry.registries import WORKER


def counted() -> tuple[float, float]:
    of_bars = {"topic": "bars"}
    count = WORKER.get_sample_value("tickertape_event_to_result_seconds_count", of_bars) or 0.0
    return count, WORKER.get_sample_value("tickertape_event_to_result_seconds_sum", of_bars) or 0.0


def of(age_seconds: float, *upserts: bool) -> Frame:
    lane = Lane("s", int((time.time() - age_seconds) * 1000), 0)
    return replace(frame(2, *[upsert(0, 1.0) for _ in upserts]), lanes=[lane])


def test_what_the_fast_lane_has_published_does_not_wait_for_its_frame() -> None:
    latency, (count, _) = Latency(), counted()
    lane = Lane("s", int((time.time() - 3.0) * 1000), 0)
    latency.note_frames([replace(frame(2, upsert(0, 1.0), upsert(1000, 1.0), shown=[3, 3]), lanes=[lane])])
    latency.published("trades", "bars")
    assert counted()[0] == count
    latency.note_frames([replace(frame(2, upsert(0, 1.0), upsert(1000, 1.0), shown=[3, 1]), lanes=[lane])])
    latency.published("trades", "bars")
    assert counted()[0] == count + 1


def test_latency_is_that_of_the_frame_that_waited_longest() -> None:
    latency, (count, total) = Latency(), counted()
    latency.note_frames([of(60.0)])  # no upserts, nothing waits
    latency.note_frames([of(3.0, True)])
    latency.note_frames([of(1.0, True)])
    latency.published("trades", "bars")
    latency.clear()
    latency.published("trades", "bars")
    assert counted()[0] == count + 1
    assert counted()[1] - total == pytest.approx(3.0, abs=0.5)
