"""``tickertape console``."""

import asyncio
import logging
import threading

import click
from msgspec.structs import replace

from tickertape.stream.configuration.settings import Settings


@click.command()
@click.option("--host", help="The address to listen at, in place of the setting console_host.", metavar="HOST")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port, in place of the setting console_port.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option("--supervised", is_flag=True, hidden=True, help="Follow the pipeline's process.")
@click.option("--demo", is_flag=True, hidden=True, help="Add the demo's buttons.")
@click.pass_obj
def console(
    settings: Settings, host: str | None, port: int | None, open_page: bool, supervised: bool, demo: bool
) -> None:
    """Serve the page and the API of a pipeline that runs elsewhere, until SIGTERM or Ctrl-C.

    `tickertape up` and `tickertape demo` serve both already.
    """
    settings.the_broker()
    from tickertape.stream.console.browser import open_page as opened
    from tickertape.stream.console.serving import Page, say
    from tickertape.stream.telemetry import logs

    logs.set_up(settings.log_format)
    # kafka-python can't read what Faust says of a member, and warns of it each time.
    logging.getLogger("kafka").setLevel(logging.ERROR)
    settings = replace(
        settings,
        console_host=settings.console_host if host is None else host,
        console_port=settings.console_port if port is None else port,
    )

    def up(address: str) -> None:
        if open_page:
            threading.Thread(target=opened, args=(address, say), daemon=True).start()

    async def run() -> None:
        await Page(settings, say, demo=demo).run(supervised=supervised, up=up)

    asyncio.run(run())
