"""Follow results as they are published: final bars of one second, and corrections of final bars.

Run it: TICKERTAPE_BROKER=localhost:9092 python examples/follow_results.py
"""

import asyncio

import tickertape


async def follow(most: int = 10) -> None:
    seen = 0
    async for bar in tickertape.results("bars", resolutions=["1s"], sources=["all"], finals=True):
        print(bar.symbol, bar.start_ms, bar.close, "corrected" if bar.corrected else "")
        seen += 1
        if seen == most:
            return


if __name__ == "__main__":
    asyncio.run(follow())
