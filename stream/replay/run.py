"""Run a whole replay: deal out files or find a topic's log, fold the partitions, merge the shards, write the tables."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import time

import msgspec
import pyarrow as pa
from msgspec import Struct

from tickertape.schemas.events import TOPICS
from tickertape.schemas.frame import Tallies
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.schemas.topics import DEAD_LETTERS, LATE
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.derived.derived import outputs_of
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.feeds.clock import now_ms
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.publish.channel import LONGEST_BAR_MS
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.kafka.admin import topics
from tickertape.stream.progress.shown import Progress
from tickertape.stream.replay import fold, parquet
from tickertape.stream.replay import partition_files as deal
from tickertape.stream.replay.final_lanes import FinalLanes, Sliced, final_lanes
from tickertape.stream.replay.fold import Job
from tickertape.stream.replay.frame_files import pieces
from tickertape.stream.replay.logs import Log, OfFiles, OfTopic
from tickertape.stream.replay.process_pool import ProcessPool, note
from tickertape.stream.results.arrow import table_of

# The columns that identify a result, and a refused record.
KEY = ("symbol", "source", "resolution", "start_ms")
PLACE = ("topic", "partition", "offset", "index")


class Files(Struct, frozen=True):
    """Recorded files as the input of a replay.

    Attributes
    ----------
    paths, kind
        The files, and the name of their format.
    partitions
        The number of partitions to which a feed would publish them. None: as set for each topic.
    by_event_time
        True if the records are sorted by event time first.
    source
        The name of their events' source. None: the record's own, or the format's.
    """

    paths: tuple[Path, ...]
    kind: str
    partitions: int | None = None
    by_event_time: bool = False
    source: str | None = None


class Outcome(Struct):
    """The outcome of a replay.

    Attributes
    ----------
    read, tallies
        The number of offsets read in all partitions, and the records by what became of them.
    finals
        The number of final results, by output.
    open
        The keys of the windows that are open at the log's end, by output.
    lines
        The lines of the files by what became of them. None for a topic.
    trimmed_ms
        Retention may have removed records with event times before this one. 0 if it has removed none.
    """

    read: int
    tallies: Tallies
    finals: dict[str, int]
    open: dict[str, list[str]]
    lines: Tally | None = None
    trimmed_ms: int = 0

    def add(self, other: "Outcome") -> None:
        """Add the outcome of replaying another topic."""
        self.read += other.read
        self.tallies = _sum([self.tallies, other.tallies])
        self.finals |= other.finals
        self.open |= other.open

    def __str__(self) -> str:
        lines = [str(self.lines)] if self.lines is not None else []
        return "\n".join([*lines, f"read {self.read:,} = {self.tallies}"])


async def of_files(settings: Settings, source: Files, processes: int, folder: Path, progress: Progress) -> Outcome:
    """Replay files, and leave the resulting tables in a folder.

    Parameters
    ----------
    settings
        The pipeline's settings; no broker is needed.
    source
        The files.
    processes
        The number of processes.
    folder
        The folder for intermediate files and tables.
    progress
        Where progress is shown.

    Raises
    ------
    InputError
        A file can't be read.
    """
    sort = source.by_event_time
    deal_out = partial(deal.ranges, kind=source.kind, by_event_time=sort, source=source.source, places=settings.agents)
    ranges = [deal_out(path) for path in source.paths]
    each = [one for of_file in ranges for one in of_file]
    partitions = _partitions(settings, source)
    with ProcessPool(processes, progress) as pool:
        bounds = deal.Bounds(settings.skew_ms, now_ms())
        tasks = [(one, n, folder, partitions, bounds, sort) for n, one in enumerate(each)]
        dealt = await pool.run("read", "events", _deal, tasks)
        outcome = Outcome(0, Tallies(), {}, {}, Tally())
        for topic, count in partitions.items():
            opening, closing = _beats(each, dealt, topic)
            log = OfFiles(str(folder), [len(of_file) for of_file in ranges], opening, closing)
            job = Job(settings, topic, count, processes, str(folder), bounds.now_ms)
            outcome.add(await _replay(pool, job, [log] * count))
    assert outcome.lines is not None
    for one in dealt:
        outcome.lines.add(one.tally)
    return outcome


def _partitions(settings: Settings, source: Files) -> dict[str, int]:
    """Return the number of partitions of each topic that the files' format has events for and an agent reads."""
    read = {slicing.topic.name for slicing in configured(settings)[0]}
    known = [TOPICS[kind] for kind in format_named(source.kind, settings.agents).kinds]
    return {t.name: source.partitions or settings.partitions.get(t.name, t.partitions) for t in known if t.name in read}


async def of_topic(settings: Settings, topic: str, processes: int, folder: Path, progress: Progress) -> Outcome:
    """Replay a topic's retained records up to its present end; see `of_files` for the parameters.

    Raises
    ------
    BrokerError
        Kafka can't be reached, has no such topic, or became unreachable.
    ConfigError
        No agent reads the topic.
    """
    slicings = {slicing.topic.name: slicing for slicing in configured(settings)[0]}
    if topic not in slicings:
        raise ConfigError(f"{topic}: no agent reads this topic; choose one of {', '.join(slicings)}")
    (state,) = topics.describe(settings, [slicings[topic].topic])
    if not state.exists:
        raise BrokerError(f"topic {topic} doesn't exist on {settings.broker}: run `tickertape topics create`")
    each: list[Log] = [OfTopic(settings, p.start, p.end) for p in state.partitions]
    with ProcessPool(processes, progress) as pool:
        return await _replay(pool, Job(settings, topic, len(each), processes, str(folder)), each)


def _deal(
    some: deal.Range, number: int, folder: Path, partitions: Mapping[str, int], bounds: deal.Bounds, sort: bool
) -> deal.Dealt:
    return deal.deal(some, number, folder, partitions, note, bounds, by_event_time=sort)


def _slice(job: Job, partition: int, log: Log) -> Sliced:
    return fold.slice_partition(job, partition, log, note)


def _merge(job: Job, shard: int, known: Sequence[FinalLanes]) -> fold.Merged:
    return fold.merge_shard(job, shard, known, note)


def _beats(
    ranges: Sequence[deal.Range], dealt: Sequence[deal.Dealt], topic: str
) -> tuple[list[Heartbeat], list[Heartbeat]]:
    """Return the heartbeats that a feed sends for each source before its first and after its last record."""
    entries, highest_ms = [], 0
    for n, (some, file) in enumerate(zip(ranges, dealt, strict=True)):
        # A range's times don't include what its file's earlier ranges received.
        highest_ms = highest_ms if some.start else 0
        entries += [(max(one.at_ms, highest_ms), n, source, one) for source, one in file.sources[topic].items()]
        highest_ms = max(highest_ms, file.highest_ms)
    first: dict[str, int] = {}
    newest: dict[str, int] = {}
    for _, _, source, one in sorted(entries, key=lambda entry: entry[:3]):
        first.setdefault(source, one.first_ms)
        newest[source] = max(newest.get(source, 0), one.newest_ms)
    opening = [Heartbeat(source, at_ms - LONGEST_BAR_MS) for source, at_ms in first.items()]
    return opening, [Heartbeat(source, at_ms, end=True) for source, at_ms in newest.items()]


async def _replay(pool: ProcessPool, job: Job, each: Sequence[Log]) -> Outcome:
    agents = configured(job.settings)
    # Report wrong settings once, here, and not from each process.
    outputs_of(agents.windowings, agents.recipes, job.settings)
    # In a log with bundles there are more events than offsets.
    total = sum(log.end - log.start for log in each if isinstance(log, OfTopic)) or None
    tasks = [(job, partition, log) for partition, log in enumerate(each)]
    sliced = await pool.run("folded", "events", _slice, tasks, total)
    known = final_lanes(sliced, int(job.settings.idle_seconds * 1000))
    merged = await pool.run("made", "results", _merge, [(job, shard, known) for shard in range(job.shards)])
    outcome = Outcome(sum(one.read for one in sliced), _sum([one.tallies for one in sliced]), {}, {})
    for one in merged:
        for output, finals in one.finals.items():
            outcome.finals[output] = outcome.finals.get(output, 0) + finals
        for output, keys in one.open.items():
            outcome.open.setdefault(output, []).extend(keys)
    logs = zip(sliced, each, strict=True)
    trimmed_ms = [one.first_ms or int(time() * 1000) for one, log in logs if isinstance(log, OfTopic) and log.start]
    if trimmed_ms:
        # Removed records were received before the retained ones, and no event time is further past its receipt.
        outcome.trimmed_ms = max(trimmed_ms) + job.settings.skew_ms
    return outcome


def _sum(tallies: Sequence[Tallies]) -> Tallies:
    return Tallies(*map(sum, zip(*map(msgspec.structs.astuple, tallies), strict=True)))


def results(folder: Path, output: str) -> list[pa.Table]:
    """Return an output's final results that a replay left in a folder, a table for each shard."""
    paths = (folder / "results" / output).glob("*.arrow")
    return [pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in paths]


def write(outcome: Outcome, folder: Path, out: Path) -> list[str]:
    """Write a replay's tables as Parquet, and return a line about each file.

    Parameters
    ----------
    outcome
        The replay's outcome.
    folder
        The folder in which the replay left its tables.
    out
        The folder for the Parquet files.
    """
    lines = []
    for output, finals in outcome.finals.items():
        path, left = out / f"{output}.parquet", outcome.open.get(output)
        if not finals and not left:
            # A file of an earlier replay would contradict this one.
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(exist_ok=True)
        parquet.write(path, results(folder, output), KEY)
        still = f"; {len(left):,} still open at the end of the log are left out" if left else ""
        lines.append(f"{path}: {finals:,} finals{still}")
    for topic, row, prefix in ((LATE.name, Late, "late"), (DEAD_LETTERS.name, DeadLetter, "dead")):
        path = out / f"{topic}.parquet"
        tables = [
            table_of(row, some)
            for spilled in sorted(folder.glob(f"{prefix}-*"))
            for some in pieces(spilled, list[row])  # type: ignore[valid-type]  # a type that is chosen here
        ]
        if tables:
            written = parquet.write(path, tables, PLACE)
            lines.append(f"{path}: {len(written):,} records")
        else:
            path.unlink(missing_ok=True)
    return lines
