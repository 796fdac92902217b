"""The time from an event to the first results that include it."""

from collections.abc import Collection, Iterable
from time import time

from tickertape.schemas.frame import NEVER_MS, SHOWN_OF_ALL, SHOWN_OF_SOURCE, Frame
from tickertape.stream.telemetry import metrics


class Latency:
    """Measures the time from an event to the first results that include it."""

    def __init__(self) -> None:
        #: By input topic: the newest event time of a frame, ms; the least over the frames that are not published yet.
        self._waiting_ms: dict[str, int] = {}

    def note_frames(self, frames: Iterable[Frame]) -> None:
        """Record frames whose upserts have not been published yet."""
        for frame in frames:
            # What the fast lane has published needn't wait for the frame.
            if not frame.sources or set(frame.columns.get("shown", b"\0")) == {SHOWN_OF_SOURCE | SHOWN_OF_ALL}:
                continue
            at_ms = (lane.watermark_ms for lane in frame.lanes if lane.source in frame.sources)
            newest_ms = max(at_ms, default=NEVER_MS)
            if newest_ms != NEVER_MS:
                self._waiting_ms[frame.topic] = min(newest_ms, self._waiting_ms.get(frame.topic, newest_ms))

    def published(self, input_topic: str, sink: str) -> None:
        """Observe the latency of the recorded frames, which are now part of a sink's results."""
        if (newest_ms := self._waiting_ms.get(input_topic)) is not None:
            metrics.EVENT_TO_RESULT_SECONDS.labels(sink).observe(max(0.0, time() - newest_ms / 1000))

    def clear(self, but: Collection[str] = ()) -> None:
        """Forget the recorded frames, except those of some input topics."""
        self._waiting_ms = {topic: at_ms for topic, at_ms in self._waiting_ms.items() if topic in but}
