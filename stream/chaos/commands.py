"""``tickertape chaos``."""

import signal
import sys
import time
from pathlib import Path

import click

from tickertape.stream.configuration.numbers import FiniteRange
from tickertape.stream.errors import ConfigError, LawBroken
from tickertape.stream.progress import options


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the faults and the trades.")
@click.option("--minutes", type=FiniteRange(0, min_open=True), default=5.0, show_default=True, help="Least duration.")
@click.option("--workers", type=click.IntRange(1), default=3, show_default=True, help="Number of workers.")
@click.option(
    "--busy", type=click.IntRange(0), default=0, show_default=True, help="Keep so many cores busy with other processes."
)
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Inject only this kind of fault; repeatable.")
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="Write the outcome to this JSON file.")
@options.as_json
def chaos(
    seed: int,
    minutes: float,
    workers: int,
    busy: int,
    faults: tuple[str, ...],
    summary: Path | None,
    as_json: bool,
) -> None:
    """Inject faults into workers, broker, feeds and sinks while trades flow, and compare every result with an oracle.

    The command runs an embedded Kafka, which it kills too. The exit code is 0 only if every final bar and every tally
    is correct.
    """
    from rich.console import Console

    from tickertape.stream.chaos.faults import FAULTS
    from tickertape.stream.chaos.run import Plan, run
    from tickertape.stream.progress.shown import Progress

    if unknown := [fault for fault in faults if fault not in FAULTS]:
        raise ConfigError(f"{unknown[0]}: no such fault; there are {', '.join(FAULTS)}")
    if summary is not None and not summary.parent.is_dir():
        raise ConfigError(f"--summary {summary}: the folder doesn't exist")
    # On SIGTERM, end started processes in good order.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    plan = Plan(seed=seed, minutes=minutes, workers=workers, busy=busy, faults=list(faults) or list(FAULTS))
    began = time.monotonic()
    progress = Progress.on_stderr(as_json=as_json)

    def say(line: str) -> None:
        if as_json:
            progress.say(line)
        else:
            click.echo(f"{time.monotonic() - began:6.1f} s  {line}")

    found = run(plan, say, progress)
    Console().print(found.table())
    click.echo(str(found))
    if summary is not None:
        found.write(summary)
    if not found.ok:
        raise LawBroken(f"{len(found.differences)} differences; repeat the run with: {plan.repro}")
