"""Answer one SQL query over Arrow tables, in a process of its own that can only read them.

DuckDB's own limit of memory doesn't cover everything: a long text, for example. So the process has a limit too, and is
killed when its time is over.
"""

import multiprocessing
import resource
import sys
from collections.abc import Callable, Collection, Mapping
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


def answer(sql: str, tables: Callable[[Collection[str]], Mapping[str, pa.Table]], bounds: Bounds) -> Answer:
    """Return the rows of a query. It blocks for as long as `bounds` allows, twice, and for as long as `tables` takes.

    Parameters
    ----------
    sql
        One query. It can't change anything, nor read files or other databases.
    tables
        Returns the tables, by name. It is called with the names that the query reads, whose rows are needed; those of
        others may be left out.
    bounds
        What it may take.

    Raises
    ------
    ConfigError
        The query is wrong.
    InputError
        It took too much time or memory.
    """
    # Its processes are copies of one that has imported this module, and has done nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "duckdb"])
    ours, its = context.Pipe()
    # What somebody else wrote isn't even parsed in this process.
    process = context.Process(target=_serve, args=(its, sql, bounds), daemon=True)
    process.start()
    its.close()
    try:
        names = _received(ours, bounds)
        ours.send({name: _packed(table) for name, table in tables(names).items()})
        is_cut, data = _received(ours, bounds)
    except (EOFError, ConnectionError):
        raise InputError(f"the query needs more than {bounds.mib} MiB, or is nested too deeply: ask for less") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    return Answer(pa.ipc.open_stream(data).read_all(), is_cut)


def _received(from_: Connection, bounds: Bounds) -> Any:
    if not from_.poll(bounds.seconds):
        raise InputError(f"the query took more than {bounds.seconds:g} s and was ended: ask for less")
    error, found = from_.recv()
    if error is not None:
        raise error(found)
    return found


def _serve(out: Connection, sql: str, bounds: Bounds) -> None:
    """Send the names of the tables that are read, receive them, and send whether the rows are cut, and the rows.

    What is sent is (None, that), or the class of an error and its text.
    """
    try:
        duckdb = _duckdb()
    except ConfigError as error:
        out.send((ConfigError, str(error)))
        return
    try:
        _limit(bounds.mib)
        out.send((None, tables_in(sql)))
        tables = {name: pa.ipc.open_stream(data).read_all() for name, data in out.recv().items()}
        _limit(bounds.mib)
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
            out.send((None, (left < 0, _packed(pa.Table.from_batches(rows, reader.schema)))))
    except (MemoryError, duckdb.OutOfMemoryException):
        out.send((InputError, f"the query needs more than {bounds.mib} MiB: ask for less"))
    except ConfigError as error:
        out.send((ConfigError, str(error)))
    except duckdb.Error as error:
        out.send((ConfigError, f"sql: {one_line(str(error))}"))


def _limit(mib: int) -> None:
    if sys.platform != "linux":
        return  # nothing else says how much is mapped already
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (mib + _OVERHEAD_MIB << 20), most))


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def check() -> None:
    """Check that DuckDB is installed.

    Raises
    ------
    ConfigError
        It isn't.
    """
    _duckdb()


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ConfigError("sql needs DuckDB: pip install 'tickertape[sql]'") from None
    return duckdb
