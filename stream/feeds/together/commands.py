"""``tickertape feed run`` and ``feed check``: many feeds from a file, and what feeds would bring."""

from pathlib import Path

import click

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.telemetry import logs


@click.command("run")
@click.argument("path", metavar="FILE", default="feeds.toml", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Record each message as it comes, in one file per source, connection and hour, for `tickertape feed file`.",
)
@click.option("--json", "as_json", is_flag=True, help="Show the state as JSON, an object a source and second.")
@click.pass_obj
def run(settings: Settings, path: Path, record: Path | None, as_json: bool) -> None:
    """Send the events of all feeds in FILE, in one process.

    FILE is `feeds.toml` by default. A feed that fails is started again, and the others go on. Runs until it is stopped.
    """
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.together import file, running

    plans = file.read(path, settings)
    console = Console(stderr=True)
    logs.set_up_beside(console, settings.log_format)
    running.run(settings, plans, record, console, as_json=as_json)
