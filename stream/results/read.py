"""Read the newest results of a topic as a table."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.results.arrow import table_of
from tickertape.stream.results.stream import Found, Kind, Results, Since, settings_for

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
    """Return the newest record of each result on a topic as an Arrow table.

    ``polars.from_arrow(table)`` and ``table.to_pandas()`` convert it to a data frame. The call returns when everything
    on the topic has been read. Inside a running event loop, for example in a notebook, it reads in a thread.

    Parameters
    ----------
    topic
        The topic: ``bars``, ``rolling``, ``social`` or another sink.
    broker
        Kafka's address. None: as set by ``TICKERTAPE_BROKER`` or ``tickertape.toml``.
    settings
        The pipeline's settings. None: those of the environment and ``tickertape.toml``.
    symbols, sources, resolutions, kinds
        Only results of these. None: all.
    finals
        True for final results only.
    since
        Only results whose windows begin at this event time or later. None: all.

    Returns
    -------
    pyarrow.Table
        A row for each result, sorted by `ORDER`. If several kinds are read, it has a column ``kind``, and nulls in the
        columns that a kind lacks.

    Raises
    ------
    ConfigError
        No results are published to that topic, or no broker is set.
    BrokerError
        Kafka can't be reached, or denies access.
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
    return as_table(results.kinds, await results.held())


def as_table(kinds: Mapping[str, Kind], held: Sequence[Found]) -> pa.Table:
    """Return results as a table: a row for each, sorted by `ORDER`; see `read` for its columns.

    Parameters
    ----------
    kinds
        The kinds of results that the table is for, by name, see `kinds_of`.
    held
        The results.
    """
    tables = []
    for name, kind in kinds.items():
        mine = table_of(kind.output.result, [found.result for found in held if found.kind is kind])
        if len(kinds) > 1 and "rule" not in mine.column_names:
            mine = mine.append_column("kind", pa.array([name] * len(mine), pa.string()))
        tables.append(mine)
    return pa.concat_tables(tables, promote_options="default").sort_by([(name, "ascending") for name in ORDER])
