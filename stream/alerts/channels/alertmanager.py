"""Alerts to Prometheus' Alertmanager, which routes, groups and silences them further."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from msgspec import Meta

from tickertape.schemas.alert import Alert
from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message
from tickertape.stream.configuration.connection import Secret


class Alertmanager(Channel, frozen=True, kw_only=True):
    """Posts to ``/api/v2/alerts``. Labels are those of the signal, so a second try changes nothing.

    Attributes
    ----------
    url
        The address of Alertmanager.
    token
        Sent as ``Authorization: Bearer``; empty: no such header.
    lasts_seconds
        How long an alert fires. One that is retracted is resolved at once.
    """

    kind: ClassVar[str] = "alertmanager"

    url: str
    token: Secret = Secret()
    lasts_seconds: Annotated[float, Meta(gt=0)] = 300.0

    async def send(self, message: Message, http: Http) -> str:
        headers = {"Authorization": f"Bearer {self.token.reveal()}"} if self.token else {}
        now = datetime.now(UTC)
        ends = now if message.stage == "retracted" else now + timedelta(seconds=self.lasts_seconds)
        body = [_posted(alert, ends) for alert in message.alerts]
        await http.post(f"{self.url.rstrip('/')}/api/v2/alerts", json=body, headers=headers)
        return ""


def _posted(alert: Alert, ends: datetime) -> dict[str, object]:
    starts = datetime.fromtimestamp(alert.end_ms / 1000, UTC)
    return {
        "labels": {
            "alertname": alert.rule,
            "symbol": alert.symbol,
            "source": alert.source,
            "resolution": alert.resolution,
            "severity": alert.severity,
            "start": str(alert.start_ms),
        },
        "annotations": {"summary": alert.text, "value": f"{alert.value:.10g}", "level": f"{alert.level:.10g}"},
        "startsAt": min(starts, ends).isoformat(),
        "endsAt": ends.isoformat(),
    }
