"""Write results to a database exactly once, also across restarts: the position is committed with each row.

Run it: TICKERTAPE_BROKER=localhost:9092 python examples/sink_to_sqlite.py bars.sqlite
"""

import asyncio
import json
import sqlite3
import sys

import tickertape

SCHEMA = """
create table if not exists bars (symbol, source, resolution, start_ms, close, volume, final,
    primary key (symbol, source, resolution, start_ms));
create table if not exists position (topic primary key, offsets);
"""


async def sink(path: str, most: int | None = None) -> None:
    """Write bars until interrupted, or at most `most` bars."""
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
        row = database.execute("select offsets from position where topic = 'bars'").fetchone()
        position = {int(partition): offset for partition, offset in json.loads(row[0]).items()} if row else None
        # The first run starts at the beginning; later ones resume after the last row that was written.
        results = tickertape.results("bars", resolutions=["1s"], since=0, position=position)
        written = 0
        async for bar in results:
            values = (bar.symbol, bar.source, bar.resolution, bar.start_ms, bar.close, bar.volume, bar.final)
            database.execute("insert or replace into bars values (?, ?, ?, ?, ?, ?, ?)", values)
            database.execute("insert or replace into position values ('bars', ?)", (json.dumps(results.position),))
            database.commit()
            written += 1
            if written == most:
                return


if __name__ == "__main__":
    asyncio.run(sink(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
