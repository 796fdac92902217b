"""States of a pipeline, written by hand."""

from tickertape.stream.watch.state import Partition, State, TopicNow, Worker

NOW_SECONDS = 1_700_000_000.0


def partition(number: int, owner: str | None, **other: object) -> Partition:
    fields = {"end": 1000, "upto": 900, "lag": 100, "watermark_ms": None, "records_per_second": None, "tallies": None}
    return Partition(partition=number, owner=owner, **(fields | other))  # type: ignore[arg-type]  # of several types


def topic(name: str, *partitions: Partition, is_input: bool = True) -> TopicNow:
    lag = sum(part.lag or 0 for part in partitions)
    return TopicNow(name=name, is_input=is_input, lag=lag, partitions=list(partitions))


def state(*topics: TopicNow, workers: tuple[Worker, ...] = (), stable: bool = True) -> State:
    return State(group="tickertape", stable=stable, workers=list(workers), topics=list(topics))


def worker(name: str, **numbers: float) -> Worker:
    return Worker(name=name, partitions={}, numbers=numbers)


def two(first: str | None = "a", second: str | None = "b", *, stable: bool = True, rate: float = 1500.0) -> State:
    """Return a pipeline of two partitions and a shard each."""
    ago_ms = int(NOW_SECONDS * 1000)
    trades = topic(
        "trades",
        partition(
            0, first, records_per_second=rate, lag=7, watermark_ms=ago_ms - 500, tallies={"late": 3, "rejected": 0}
        ),
        partition(1, second, records_per_second=250.5, lag=60_000, watermark_ms=ago_ms - 9_000),
    )
    slices = topic("slices", partition(0, first, lag=1), partition(1, second, lag=0), is_input=False)
    names = sorted({name for name in (first, second) if name})
    numbers = {"cpu_share": 0.25, "memory_bytes": 200.0 * (1 << 20), "results_per_second": 12_345.0}
    return state(trades, slices, workers=tuple(worker(name, **numbers) for name in names), stable=stable)
