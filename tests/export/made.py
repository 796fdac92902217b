"""A small table, and rows for it."""

from tickertape.stream.export.define.table import Column, Row, Table

T0 = 1_700_002_800_000
NAMES = ("symbol", "source", "resolution", "start_ms", "close", "trades", "most", "final", "revision", "incomplete")


def table(name: str, *more: Column) -> Table:
    columns = [
        Column("symbol", "text", False, "The symbol: it's quoted."),
        Column("source", "text", False, ""),
        Column("resolution", "text", False, ""),
        Column("start_ms", "integer", False, "[ms] The start\\"),
        Column("close", "number", False, 'The "last" price'),
        Column("trades", "integer", True, ""),
        Column("most", "list", True, ""),
        Column("final", "flag", False, ""),
        Column("revision", "integer", False, ""),
        Column("incomplete", "flag", False, ""),
        *more,
    ]
    return Table(name, columns, ["symbol", "source", "resolution", "start_ms"], "Bars'; drop table x; --")


def row(symbol: str, second: int, final: bool, revision: int) -> Row:
    """Return a row whose values follow from its key and rank."""
    close = second * 1000 + revision + final / 2
    return (symbol, "all", "1s", T0 + second * 1000, close, revision or None, f'[["{second}",{revision}]]', final,
            revision, not final)  # fmt: skip
