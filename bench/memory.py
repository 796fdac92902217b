"""Measure the memory of a worker with 10,000 symbols."""

import asyncio
import threading
import time

import psutil
from rich.console import Console

from bench import workers
from tickertape.schemas.topics import BARS
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.simulate.simulated_market import Market
from tickertape.stream.feeds.simulate.simulation import Simulation
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer

SYMBOLS = 10_000
RATE = 20_000
# Long enough to fill sliding windows of five minutes.
SECONDS = 330
# At the peak: for trades and their bars, and for every agent.
FLOORS_MIB = (400.0, 650.0)


def measure(broker: str, agents: str) -> dict[str, float]:
    topics.create(Settings(broker))
    market = Market(SYMBOLS, RATE, seed=1)
    simulation = Simulation(market, start_ms=1_700_000_000_000, seconds=SECONDS, speed=float("inf"))

    async def feed() -> int:
        async with Producer(Connection(broker)) as producer:
            # No closing heartbeat, so that windows stay open.
            return (await simulation.run(producer, close=False)).trades

    peak = [0]
    with workers.running(broker, 1, agents) as (worker,):
        process = psutil.Process(worker.pid)

        def watch() -> None:
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                peak[0] = max(peak[0], process.memory_info().rss)
                time.sleep(0.2)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        events = asyncio.run(feed())
        workers.wait_until_read(broker, 400)
        # Wait until the memory of the backlog is released, and the next snapshots are written.
        time.sleep(15)
        resident = process.memory_info().rss
    symbols = len(simulation.ledger.by_symbol())
    return {"events": events, "symbols": symbols, "peak_mib": peak[0] / 2**20, "resident_mib": resident / 2**20}


def show(console: Console, spine: dict[str, float], every: dict[str, float]) -> bool:
    peaks_mib = spine["peak_mib"], every["peak_mib"]
    met = ["met" if peak < floor else "MISSED" for peak, floor in zip(peaks_mib, FLOORS_MIB, strict=True)]
    console.print(
        f"a worker with {spine['symbols']:,} symbols ({spine['events']:,} trades, {BARS.name} of five "
        f"resolutions): {spine['resident_mib']:.0f} MiB resident, {peaks_mib[0]:.0f} MiB at its peak; "
        f"floor {FLOORS_MIB[0]:g} MiB {met[0]}; with every agent {every['resident_mib']:.0f} and {peaks_mib[1]:.0f} "
        f"MiB; floor {FLOORS_MIB[1]:g} MiB {met[1]}",
        highlight=False,
    )
    return "MISSED" not in met
