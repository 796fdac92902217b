"""``tickertape alerts``: send signals to channels."""

import asyncio
import signal
from contextlib import suppress

import click

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError, LawBroken


@click.group()
def alerts() -> None:
    """Send signals to webhooks, Slack, Telegram, e-mail or Alertmanager, each once."""


@alerts.command()
@click.pass_obj
def run(settings: Settings) -> None:
    """Send signals as the file says that the setting `alerts` names, until stopped.

    Several processes may run: one sends, and another takes over when it ends.
    """
    from tickertape.stream.alerts.plan import load
    from tickertape.stream.alerts.run import run as send
    from tickertape.stream.telemetry import logs
    from tickertape.stream.telemetry.registries import ALERTING
    from tickertape.stream.telemetry.serving import PATH, served

    settings.the_broker()
    logs.set_up(settings.log_format)
    plan = load(settings.alerts, settings.agents)

    async def until_stopped() -> None:
        sending = asyncio.ensure_future(send(settings, plan))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, sending.cancel)
        with suppress(asyncio.CancelledError):
            await sending

    with served(settings, ALERTING) as address:
        if address:
            click.echo(f"metrics: {address}{PATH}", err=True)
        asyncio.run(until_stopped())


@alerts.command()
@click.argument("channel", required=False)
@click.pass_obj
def test(settings: Settings, channel: str | None) -> None:
    """Send a test message to one CHANNEL, or to each. It needs no Kafka, and isn't recorded."""
    from tickertape.stream.alerts.plan import load
    from tickertape.stream.alerts.trial import tried

    plan = load(settings.alerts, settings.agents)
    if channel is not None and channel not in plan.channels:
        raise ConfigError(f"{channel}: no such channel; there are {', '.join(plan.channels) or 'none'}")
    some = [one for name, one in plan.channels.items() if channel in (None, name)]
    failed = 0
    for one, why in asyncio.run(tried(some)):
        click.echo(f"{one.name} ({one.kind}): {why or 'sent'}")
        failed += bool(why)
    if failed or not some:
        raise LawBroken(f"{failed} of {len(some)} channels failed")
