"""What a topic holds as a table: of each result the newest."""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.results.arrow import table_of
from tickertape.stream.results.stream import Results, Since, settings_for

ORDER = ("start_ms", "symbol", "source", "resolution")


def read(
    topic: str,
    *,
    broker: str | None = None,
    settings: Settings | None = None,
    symbols: Collection[str] | None = None,
    sources: Collection[str] | None = None,
    resolutions: Collection[str] | None = None,
    kinds: Collection[str] | None = None,
    finals: bool = True,
    since: Since | None = None,
) -> pa.Table:
    """Return what a topic holds now, of each result the newest, as an Arrow table.

    ``polars.from_arrow(table)`` and ``table.to_pandas()`` make frames of it. It waits until all is read; inside a
    running loop, as in a notebook, it reads in a thread.

    Parameters
    ----------
    topic
        Where results are: ``bars``, ``rolling``, ``social`` or another sink.
    broker
        Where Kafka is; by default as ``TICKERTAPE_BROKER`` or ``tickertape.toml`` says.
    settings
        The pipeline's, in place of those of the environment and the file.
    symbols, sources, resolutions, kinds
        Only results of these; None: all.
    finals
        Only results that are final.
    since
        Only results whose windows begin at this event time or later; None: all that the topic holds.

    Returns
    -------
    pyarrow.Table
        A row each, in the order of `ORDER`; of several kinds with a column ``kind``, and null where a kind lacks a
        column.

    Raises
    ------
    ConfigError
        No results go to that topic; or no broker is set.
    BrokerError
        Kafka can't be reached, or doesn't let us read.
    """
    results = Results(
        topic,
        settings=settings_for(broker, settings),
        symbols=symbols,
        sources=sources,
        resolutions=resolutions,
        kinds=kinds,
        finals=finals,
        since=0 if since is None else since,
    )
    return _without_loop(results)


def _without_loop(results: Results) -> pa.Table:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_table(results))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _table(results)).result()


async def _table(results: Results) -> pa.Table:
    held = await results.held()
    tables = []
    for name, kind in results.kinds.items():
        mine = table_of(kind.output.result, [found.result for found in held if found.kind is kind])
        if len(results.kinds) > 1 and "rule" not in mine.column_names:
            mine = mine.append_column("kind", pa.array([name] * len(mine), pa.string()))
        tables.append(mine)
    return pa.concat_tables(tables, promote_options="default").sort_by([(name, "ascending") for name in ORDER])
