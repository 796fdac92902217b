"""Answer one SQL query over Arrow tables, in a process of its own that can only read them.

DuckDB's own limit of memory doesn't cover everything: a long text, for example. So the process has a limit too, and is
killed when its time is over.
"""

import multiprocessing
import resource
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import Struct

from tickertape.stream.errors import ConfigError, InputError, one_line

# What Python and the libraries map on top of what a query may use.
_OVERHEAD_MIB = 256
_BATCH_ROWS = 2048
_SETTINGS = {
    "threads": 1,
    "enable_external_access": False,
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


class Bounds(Struct, frozen=True, kw_only=True):
    """What a query may take.

    Attributes
    ----------
    seconds
        The time until it is ended.
    mib
        The memory that it may use, beside its tables, MiB.
    rows
        The number of rows that it returns at most.
    """

    seconds: float = 30.0
    mib: int = 512
    rows: int = 10_000


class Answer(Struct, frozen=True):
    """The rows of a query, and whether there would have been more."""

    table: pa.Table
    is_cut: bool


def tables_in(sql: str) -> set[str]:
    """Return the names of the tables that a query reads; also those of its own common table expressions.

    Raises
    ------
    ConfigError
        It isn't a single query, or not SQL.
    """
    with _duckdb().connect(config=_SETTINGS) as database:
        ((tree,),) = database.execute("select json_serialize_sql(?)", [sql]).fetchall()
    found = msgspec.json.decode(tree)
    if found["error"]:
        # DuckDB says that other statements can't be serialized.
        what = found["error_message"] if found["error_type"] == "parser" else "it has to be a query, such as select"
        raise ConfigError(f"sql: {one_line(what)}")
    if len(found["statements"]) != 1:
        raise ConfigError("sql: give one query, not several")
    return set(_names(found))


def _names(tree: object) -> list[str]:
    match tree:
        case dict():
            own = [tree["table_name"]] if isinstance(tree.get("table_name"), str) else []
            return own + [name for value in tree.values() for name in _names(value)]
        case list():
            return [name for value in tree for name in _names(value)]
        case _:
            return []


def answer(sql: str, tables: Mapping[str, pa.Table], bounds: Bounds) -> Answer:
    """Return the rows of a query.

    Parameters
    ----------
    sql
        One query. It can't change anything, nor read files or other databases.
    tables
        The tables, by name.
    bounds
        What it may take.

    Raises
    ------
    ConfigError
        The query is wrong.
    InputError
        It took too much time or memory.
    """
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    packed = {name: _packed(table) for name, table in tables.items()}
    process = context.Process(target=_serve, args=(its, sql, packed, bounds), daemon=True)
    process.start()
    its.close()
    try:
        if not ours.poll(bounds.seconds):
            raise InputError(f"the query took more than {bounds.seconds:g} s and was ended: ask for less")
        is_answer, is_cut, data = ours.recv()
    except EOFError:
        raise InputError(f"the query needs more than {bounds.mib} MiB: ask for less") from None
    finally:
        process.kill()
        process.join()
    if not is_answer:
        raise (InputError if is_cut else ConfigError)(data)
    return Answer(pa.ipc.open_stream(data).read_all(), is_cut)


def _serve(out: Connection, sql: str, packed: Mapping[str, bytes], bounds: Bounds) -> None:
    """Send the answer: (True, whether rows are cut, Arrow's bytes), or (False, whether the query is too large, why)."""
    duckdb = _duckdb()
    tables = {name: pa.ipc.open_stream(data).read_all() for name, data in packed.items()}
    _limit(bounds.mib)
    try:
        with duckdb.connect(config=_SETTINGS | {"memory_limit": f"{bounds.mib // 2}MiB"}) as database:
            for name, table in tables.items():
                database.register(name, table)
            database.execute("set lock_configuration = true")
            rows, left = [], bounds.rows
            reader = database.sql(sql).to_arrow_reader(_BATCH_ROWS)
            for batch in reader:
                rows.append(batch.slice(0, left))
                left -= batch.num_rows
                if left < 0:
                    break
            out.send((True, left < 0, _packed(pa.Table.from_batches(rows, reader.schema))))
    except (MemoryError, duckdb.OutOfMemoryException):
        out.send((False, True, f"the query needs more than {bounds.mib} MiB: ask for less"))
    except duckdb.Error as error:
        out.send((False, False, f"sql: {one_line(str(error))}"))


def _limit(mib: int) -> None:
    if sys.platform != "linux":
        return  # nothing else says how much is mapped already
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = mapped + (mib + _OVERHEAD_MIB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ConfigError("sql needs DuckDB: pip install 'tickertape[sql]'") from None
    return duckdb
