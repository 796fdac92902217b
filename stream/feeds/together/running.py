"""Run several feeds: one process, one event loop, one producer, and one page of metrics."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.publish.bundler import Bundler
from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.publish.session import live_producer, metrics_shown, until_stopped
from tickertape.stream.feeds.together.board import Board
from tickertape.stream.feeds.together.followed import Followed
from tickertape.stream.feeds.together.keeper import Keeper
from tickertape.stream.feeds.together.plan import Plan
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.stores.control import Control
from tickertape.stream.progress.shown import Progress
from tickertape.stream.telemetry.metrics import PRODUCER_BUFFER


def run(settings: Settings, plans: Sequence[Plan], folder: Path | None, console: Console, *, as_json: bool) -> None:
    """Run feeds until SIGINT or SIGTERM. Then they send the rest.

    Parameters
    ----------
    settings
        The settings.
    plans
        The feeds.
    folder
        Where each records its messages as they come; None to record nothing.
    console
        Where their state is shown.
    as_json
        True to show it as JSON.

    Raises
    ------
    ConfigError
        A feed can't be connected as it is planned, or metrics can't be served.
    InputError
        The folder can't be written to.
    BrokerError
        Kafka can't be reached, or a record was not delivered.
    """
    keepers = [Keeper(plan, plan.connect(), settings, folder) for plan in plans]
    try:
        asyncio.run(_run(settings, list(zip(plans, keepers, strict=True)), Board(console, as_json=as_json)))
    finally:
        for plan, keeper in zip(plans, keepers, strict=True):
            if tally := keeper.live.tally:
                console.print(f"{plan.source}: {tally}", highlight=False, soft_wrap=True, markup=False)


async def _run(settings: Settings, kept: Sequence[tuple[Plan, Keeper]], board: Board) -> None:
    async with (
        metrics_shown(settings, Progress(board.console)),
        live_producer(settings) as producer,
        Control(settings) as control,
    ):
        PRODUCER_BUFFER.set_function(lambda: producer.pending_bytes)
        work = asyncio.create_task(_work(producer, Followed(control), kept))
        async with board.shown(lambda: [keeper.status(time.monotonic()) for _, keeper in kept]):
            await until_stopped(work)
        if not work.cancelled():
            work.result()


async def _work(producer: Producer, followed: Followed, kept: Sequence[tuple[Plan, Keeper]]) -> None:
    # Feeds that bundle for the same time share their bundles.
    seconds = {plan.bundle_seconds for plan, _ in kept} - {0.0}
    records: dict[float, Records] = {0.0: producer} | {each: Bundler(producer, each) for each in seconds}
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(followed.run())
            for plan, keeper in kept:
                group.create_task(keeper.run(records[plan.bundle_seconds], followed))
    except BaseExceptionGroup as errors:
        # The first error ends them all, and is the one to report.
        raise errors.exceptions[0] from None
