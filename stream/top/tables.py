"""The pipeline as tables: its workers, and its partitions; and as one line."""

import time
from collections.abc import Iterable, Iterator

from tickertape.stream.top.cells import Cell, Column, Rows, Table, age, aged, amount, mebibytes
from tickertape.stream.watch.state import Partition, State, TopicNow, Worker

MUCH_LAG = 50_000
# A worker has one core.
BUSY_SHARE = 0.9

WORKERS = (
    Column(key="worker", label="worker", width=16, left=True),
    Column(key="inputs", label="partitions", width=11, rank=5),
    Column(key="shards", label="shards", width=7, rank=4),
    Column(key="rate", label="records/s", width=10, rank=1),
    Column(key="results", label="results/s", width=10, rank=8),
    Column(key="lag", label="lag", width=7, rank=2),
    Column(key="cpu", label="cpu", width=5, rank=6),
    Column(key="memory", label="memory", width=9, rank=7),
)
PARTITIONS = (
    Column(key="partition", label="partition", width=14, left=True),
    Column(key="owner", label="worker", width=16, rank=5, left=True),
    Column(key="rate", label="records/s", width=10, rank=2),
    Column(key="lag", label="lag", width=7, rank=1),
    Column(key="age", label="wm age", width=7, rank=3),
    Column(key="late", label="late", width=7, rank=6),
    Column(key="rejected", label="rejected", width=9, rank=7),
    Column(key="end", label="end", width=13, rank=8),
)


def parts(state: State) -> Iterator[tuple[TopicNow, Partition]]:
    for topic in state.topics:
        for part in topic.partitions:
            yield topic, part


def workers(state: State) -> Table:
    """Return a row for each worker."""
    rows = {worker.name: _worker(state, worker) for worker in state.workers}
    # Numbers that no worker has can't be had here.
    known = {key for row in rows.values() for key in row}
    columns = [column for column in WORKERS if not rows or column.key in known]
    return Table(name="workers", columns=columns, rows=rows, sort="worker")


def _worker(state: State, worker: Worker) -> dict[str, Cell]:
    own = [(topic, part) for topic, part in parts(state) if part.owner == worker.name]
    inputs = sum(topic.is_input for topic, _ in own)
    shards = len(own) - inputs
    row = {
        "worker": Cell(worker.name, worker.name),
        "inputs": Cell(f"{inputs}", inputs, "" if own else "yellow"),
        "shards": Cell(f"{shards}", shards),
        "lag": _lag(sum(part.lag or 0 for _, part in own)),
    }
    rates = [part.records_per_second for topic, part in own if topic.is_input]
    if rates and None not in rates:
        row["rate"] = _number(_total(rates))
    numbers = worker.numbers
    if "cpu_share" in numbers:
        share = numbers["cpu_share"]
        row["cpu"] = Cell(f"{share:.0%}", share, "red" if share > BUSY_SHARE else "")
    if "memory_bytes" in numbers:
        row["memory"] = Cell(mebibytes(numbers["memory_bytes"]), numbers["memory_bytes"])
    if "results_per_second" in numbers:
        row["results"] = _number(numbers["results_per_second"])
    return row


def partitions(state: State, now_seconds: float | None = None) -> Table:
    """Return a row for each partition that the pipeline reads.

    Parameters
    ----------
    now_seconds
        The time, from which watermarks have their ages; None: now.
    """
    now = time.time() if now_seconds is None else now_seconds
    rows: Rows = {
        f"{topic.name} {part.partition}": _partition(part, now) | {"partition": _name(place, topic, part)}
        for place, (topic, part) in enumerate(parts(state))
    }
    return Table(name="partitions", columns=PARTITIONS, rows=rows, sort="partition")


def _partition(part: Partition, now_seconds: float) -> dict[str, Cell]:
    row = {
        "owner": Cell("nobody", "", "bold red") if part.owner is None else Cell(part.owner, part.owner),
        "lag": _lag(part.lag or 0),
        "end": Cell(f"{part.end:,}", part.end),
    }
    if part.records_per_second is not None:
        row["rate"] = _number(part.records_per_second)
    if part.watermark_ms is not None:
        row["age"] = aged(max(0.0, now_seconds - part.watermark_ms / 1000))
    for outcome in ("late", "rejected"):
        if part.tallies and outcome in part.tallies:
            count = part.tallies[outcome]
            row[outcome] = Cell(amount(count), count, "yellow" if count else "dim")
    return row


def _name(place: int, topic: TopicNow, part: Partition) -> Cell:
    return Cell(f"{topic.name} {part.partition}", place)


def _lag(records: int) -> Cell:
    return Cell(amount(records), records, "red" if records > MUCH_LAG else "dim" if not records else "")


def _number(number: float) -> Cell:
    return Cell(amount(number), number, "" if number else "dim")


def _total(numbers: Iterable[float | None]) -> float:
    return sum(number or 0.0 for number in numbers)


def rate(state: State) -> float:
    """Return the records that come in per second, over all inputs."""
    return _total(part.records_per_second for topic, part in parts(state) if topic.is_input)


def lag(state: State) -> int:
    """Return the records that are still to be read."""
    return sum(part.lag or 0 for _, part in parts(state))


def oldest_watermark_seconds(state: State, now_seconds: float) -> float | None:
    """Return how far event time is behind, in the input partition furthest behind; None without one."""
    ages = [
        now_seconds - part.watermark_ms / 1000
        for topic, part in parts(state)
        if topic.is_input and part.watermark_ms is not None
    ]
    return max(0.0, *ages) if ages else None


def line(state: State, now_seconds: float | None = None) -> str:
    """Return the pipeline in one line."""
    old = oldest_watermark_seconds(state, time.time() if now_seconds is None else now_seconds)
    count = len(state.workers)
    said = [
        f"{count} worker{'' if count == 1 else 's'}" + ("" if state.stable else ", rebalancing"),
        f"{amount(rate(state))} records/s",
        f"lag {amount(lag(state))}",
    ]
    if old is not None:
        said.append(f"watermark age {age(old)}")
    tallies = [part.tallies for _, part in parts(state) if part.tallies]
    said += [f"{outcome} {amount(sum(one.get(outcome, 0) for one in tallies))}" for outcome in ("late", "rejected")]
    ownerless = sum(part.owner is None for _, part in parts(state))
    if ownerless:
        said.append(f"{ownerless} partitions without an owner")
    return "   ".join(said)
