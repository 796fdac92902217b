"""The state of the pipeline: which worker owns what, how far each partition is read, and how fast."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from tickertape.schemas.topics import Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import members, topics

#: Numbers of each worker by its slot's name, as from its metrics; none where they can't be had.
Numbers = Mapping[str, Mapping[str, float]]


class Partition(Struct, frozen=True, kw_only=True):
    """A partition, as of the last commit.

    Attributes
    ----------
    partition
        Its number.
    owner
        The slot that reads it; None if none does.
    end, upto
        The offset of its next record, and up to which it has been read; the latter is None without a commit.
    lag
        Records still to be read; None if the pipeline doesn't read the topic.
    watermark_ms
        The highest watermark of its sources; None without any.
    records_per_second
        How fast it grows; None when it is looked at first.
    tallies
        What became of the records that were read, by outcome; None for topics without tallies.
    """

    partition: int
    owner: str | None
    end: int
    upto: int | None
    lag: int | None
    watermark_ms: int | None
    records_per_second: float | None
    tallies: dict[str, int] | None


class TopicNow(Struct, frozen=True, kw_only=True):
    """A topic that the pipeline reads.

    Attributes
    ----------
    name
        Its name.
    is_input
        True for an input, false for the slices.
    lag
        Records still to be read in all partitions.
    partitions
        Its partitions, in order.
    """

    name: str
    is_input: bool
    lag: int | None
    partitions: list[Partition]


class Worker(Struct, frozen=True, kw_only=True):
    """A worker.

    Attributes
    ----------
    name
        Its slot's name.
    partitions
        What it owns, by topic.
    numbers
        Numbers of its process, such as ``memory_bytes`` and ``cpu_share``; those that can't be had are missing.
    """

    name: str
    partitions: dict[str, list[int]]
    numbers: dict[str, float]


class State(Struct, frozen=True, kw_only=True):
    """The pipeline at a moment.

    Attributes
    ----------
    group
        The setting ``group``.
    stable
        False while the workers share the partitions anew.
    workers, topics
        What there is.
    """

    group: str
    stable: bool
    workers: list[Worker]
    topics: list[TopicNow]


class Watch:
    """Asks Kafka for the state of the pipeline.

    Parameters
    ----------
    settings
        The connection settings, and ``group``.
    read
        The topics that the pipeline reads: its inputs, and the slices.
    worker_numbers
        Returns numbers of the workers.
    """

    def __init__(self, settings: Settings, read: list[Topic], worker_numbers: Callable[[], Numbers] = dict) -> None:
        self._settings = settings
        self._topics = read
        self._worker_numbers = worker_numbers
        # The ends of the partitions, and when they were there, s.
        self._before: tuple[float, dict[tuple[str, int], int]] | None = None

    def now(self) -> State:
        """Return the state. It takes some requests to Kafka and to each worker, in this thread.

        Raises
        ------
        BrokerError
            Kafka can't be reached, or refuses.
        """
        group = members.describe(self._settings)
        described = topics.describe(self._settings, self._topics)
        ends = {(one.name, part.partition): part.end for one in described for part in one.partitions}
        now = time.monotonic()
        before, self._before = self._before, (now, ends)

        def rate(part: tuple[str, int]) -> float | None:
            if before is None or part not in before[1]:
                return None
            return round((ends[part] - before[1][part]) / max(now - before[0], 1e-3), 1)

        owners = {
            (topic, number): slot
            for slot, owned in group.owned.items()
            for topic, numbers in owned.items()
            for number in numbers
        }
        numbers = self._worker_numbers()
        return State(
            group=self._settings.group,
            stable=group.stable,
            workers=[
                Worker(name=slot, partitions=owned, numbers=dict(numbers.get(slot, {})))
                for slot, owned in sorted(group.owned.items())
            ],
            topics=[
                TopicNow(
                    name=one.name,
                    is_input=topic.is_input,
                    lag=one.lag,
                    partitions=[
                        Partition(
                            partition=part.partition,
                            owner=owners.get((one.name, part.partition)),
                            end=part.end,
                            upto=part.upto,
                            lag=part.lag,
                            watermark_ms=part.watermark_ms,
                            records_per_second=rate((one.name, part.partition)),
                            tallies=part.tallies,
                        )
                        for part in one.partitions
                    ],
                )
                for topic, one in zip(self._topics, described, strict=True)
            ],
        )
