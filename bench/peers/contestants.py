"""Who takes part: what each is given, what runs it, and in which configuration."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench import throughput
from bench.peers import environments

FIRST, SUBMITTED = "first record", "submission"


class Program(NamedTuple):
    """A peer's program: the command, to which broker, topics and number of events are added, and its variables."""

    command: list[str]
    environment: Mapping[str, str]
    version: str


class Contestant(NamedTuple):
    """One that takes part.

    Attributes
    ----------
    name, about
        What the table calls it, and its configuration.
    share
        The share of the trades that it gets; above 1 they are repeated, later in event time.
    every
        It takes part in one of so many rounds.
    counted_from
        When its time begins.
    prepare
        Returns what runs it; raises `environments.MissingError` where nothing can.
    """

    name: str
    about: str
    share: float
    every: int
    counted_from: str
    prepare: Callable[[], Program | throughput.Contestant]


def _ours(name: str) -> Callable[[], throughput.Contestant]:
    return lambda: throughput.CONTESTANTS[name]


def _python(peer: str) -> Callable[[], Program]:
    def prepare() -> Program:
        python = str(environments.python(peer))
        return Program([python, "-m", f"bench.peers.programs.{peer}"], {}, environments.version(peer))

    return prepare


def _python_on_java(peer: str) -> Callable[[], Program]:
    def prepare() -> Program:
        java = environments.java_version()
        jars = os.pathsep.join(map(str, environments.jars(peer)))
        command, _, version = _python(peer)()
        return Program(command, {"JARS": jars}, f"{version}, Java {java}")

    return prepare


def _kafka_streams() -> Program:
    java = environments.java()
    jars = environments.jars("kafka-streams")
    source = environments.HERE / "programs" / "KafkaStreams.java"
    path = os.pathsep.join(map(str, [environments.classes(source, jars), *jars]))
    version = f"{environments.version('kafka-streams')}, Java {environments.java_version()}"
    return Program([java, "-Xmx2g", "-cp", path, source.stem], {}, version)


OURS = "Tickertape"
PLAIN = "plain loop"
CONTESTANTS = [
    Contestant(
        OURS,
        "Slices and bars of five resolutions, every symbol's for its source and for all, with all state recoverable.",
        3.0,
        1,
        FIRST,
        _ours(throughput.BARS),
    ),
    Contestant(
        "Tickertape, NumPy only",
        "The same without the compiled hot path.",
        3.0,
        1,
        FIRST,
        _ours(throughput.NUMPY_BARS),
    ),
    Contestant(
        PLAIN,
        "confluent-kafka, msgspec and a dict of open bars; what is open is lost in a crash.",
        3.0,
        1,
        FIRST,
        _ours(throughput.PLAIN),
    ),
    Contestant(
        "Kafka Streams",
        "An in-memory window store with a cache of 64 MB and a changelog; bars are emitted when their window closes; a "
        "commit every five seconds.",
        3.0,
        3,
        FIRST,
        _kafka_streams,
    ),
    Contestant(
        "Flink SQL",
        "A tumbling window in the mini-cluster, parallelism 1, with object reuse and without checkpoints; no Python in "
        "the path of records.",
        3.0,
        3,
        SUBMITTED,
        _python_on_java("flink"),
    ),
    Contestant(
        "Spark Structured Streaming",
        "`local[1]`, append mode, a watermark of one second, micro-batches of 500,000 records, state and checkpoint on "
        "the local disk.",
        3.0,
        3,
        SUBMITTED,
        _python_on_java("spark"),
    ),
    Contestant(
        "Bytewax",
        "Batches of 1,000 decoded at once by orjson, `fold_window`, no recovery store.",
        0.5,
        3,
        FIRST,
        _python("bytewax"),
    ),
    Contestant(
        "Pathway",
        "`windowby` in static mode, which is faster here than streaming; no persistence.",
        0.5,
        3,
        SUBMITTED,
        _python("pathway"),
    ),
    Contestant(
        "Quix Streams",
        "`reduce` and `final`, state in RocksDB with a changelog, a commit every five seconds.",
        0.3,
        3,
        FIRST,
        _python("quix"),
    ),
    Contestant(
        "Faust, windowed table",
        "A table in memory with a changelog.",
        0.02,
        1,
        FIRST,
        _ours(throughput.FAUST_TABLE),
    ),
]
