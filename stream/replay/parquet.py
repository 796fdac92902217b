"""Write Parquet files whose bytes depend on their rows only."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COMPRESSION = "zstd"


def write(path: Path, tables: Sequence[pa.Table], order: Sequence[str]) -> pa.Table:
    """Write tables of one schema as one file, sorted by the columns of `order`, and return the sorted table.

    The file is replaced atomically, so it is never incomplete.
    """
    whole = pa.concat_tables(tables).sort_by([(name, "ascending") for name in order]).combine_chunks()
    made = path.with_name(f".{path.name}.new")
    pq.write_table(whole, made, compression=COMPRESSION)
    made.replace(path)
    return whole
