"""``tickertape export run``: read results, write the newest of each, and only then commit what has been read."""

import asyncio
import logging
from contextlib import AsyncExitStack
from random import uniform
from time import monotonic

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import DatabaseError
from tickertape.stream.export.batch import Batch, Copied, copied
from tickertape.stream.export.define.database import Database, Unavailable, Writer
from tickertape.stream.export.define.table import Table
from tickertape.stream.export.plan import exported
from tickertape.stream.export.source import Source
from tickertape.stream.progress.shown import NOWHERE, Counting, Progress
from tickertape.stream.recent.tailing import existing
from tickertape.stream.telemetry import metrics

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0


async def run(settings: Settings, database: Database, *, once: bool = False, progress: Progress = NOWHERE) -> int:
    """Copy results until cancelled.

    Parameters
    ----------
    settings
        The settings.
    database
        Where they go.
    once
        True to return when all that was on the topics at the start has been written.
    progress
        Where progress is shown, if it is to end.

    Returns
    -------
    int
        The number of rows that were sent.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    DatabaseError
        The database refuses. That it is away is no error: it is waited for.
    """
    wanted = exported(settings, database)
    there = await existing(settings, list(wanted))
    for topic in wanted.keys() - set(there):
        log.warning("%s: there is no such topic, so its results aren't copied", topic)
    tables = [wanted[topic][1] for topic in there]
    topics = {topic: copied(*wanted[topic]) for topic in there}
    async with (
        _Target(database, tables) as target,
        Source(settings, f"{settings.group}-export-{database.name}", there) as source,
    ):
        await target.reach()
        log.info("copying %s to %s", ", ".join(there), database.name)
        if not once:
            while True:
                await _turn(topics, source, target, database, once=False)
        ends = await source.ends()
        written, sent = Counting(await source.left(ends)), 0
        with progress.of("copied", "records", written):
            while True:
                records, rows = await _turn(topics, source, target, database, once=True)
                written.done += records
                sent += rows
                if not records and not await source.left(ends):
                    return sent


async def _turn(
    topics: dict[str, Copied], source: Source, target: "_Target", database: Database, *, once: bool
) -> tuple[int, int]:
    """Read, write and commit; return the number of records read, and of rows sent."""
    batch, generation = await _read(topics, source, database, once=once)
    if not batch.position:
        return 0, 0
    rows = await target.write(batch)
    # Otherwise the next owner reads it again, and writes what is there already.
    if source.generation == generation:
        await source.commit(batch.position)
    return batch.read, rows


async def _read(topics: dict[str, Copied], source: Source, database: Database, *, once: bool) -> tuple[Batch, int]:
    """Return a batch, and the generation that its records were read in."""
    batch = Batch(topics, finals=database.finals, most_rows=database.most_rows)
    generation, until = source.generation, monotonic() + database.every_seconds
    while not batch.is_full and monotonic() < until:
        blocks = await source.read()
        if source.generation != generation:
            # What was read before is read again by its owner, which may be this process.
            batch = Batch(topics, finals=database.finals, most_rows=database.most_rows)
            generation = source.generation
        for block in blocks:
            batch.add(block)
        if once and not blocks:
            break
    return batch, generation


class _Target:
    """The database, which is connected to again whenever it was away."""

    def __init__(self, database: Database, tables: list[Table]) -> None:
        self._database, self._tables = database, tables
        self._stack = AsyncExitStack()
        self._writer: Writer | None = None

    async def __aenter__(self) -> "_Target":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def reach(self) -> None:
        """Connect and make the tables, however long the database is away."""
        await self._insist([])

    async def write(self, batch: Batch) -> int:
        """Write a batch, however long the database is away, and return the number of rows."""
        began, parts = monotonic(), list(batch.tables())
        await self._insist([(table, rows) for _, table, rows in parts])
        metrics.EXPORT_WRITE_SECONDS.labels(self._database.name).observe(monotonic() - began)
        for topic, table, rows in parts:
            metrics.EXPORT_RECORDS.labels(topic, "written").inc(len(rows))
            (start_at,) = table.at("start_ms")
            metrics.EXPORT_NEWEST.labels(topic).set(max(row[start_at] for row in rows) / 1000)
        return sum(len(rows) for _, _, rows in parts)

    async def _insist(self, parts: list[tuple[Table, list[tuple[object, ...]]]]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                writer = await self._connected()
                for table, rows in parts:
                    await writer.write(table, rows)
                return
            except Unavailable as error:
                metrics.EXPORT_FAILURES.labels(self._database.name).inc()
                log.warning(
                    "%s: %s; trying again in %.1f s", self._database.name, self._database.hide(str(error)), pause
                )
            except DatabaseError as error:
                raise DatabaseError(f"{self._database.name}: {self._database.hide(str(error))}") from None
            await self._leave()
            # Processes that were refused together don't come back together.
            await asyncio.sleep(uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _connected(self) -> Writer:
        if self._writer is None:
            writer = await self._stack.enter_async_context(self._database.writer())
            await writer.prepare(self._tables)
            self._writer = writer
        return self._writer

    async def _leave(self) -> None:
        self._writer = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()
