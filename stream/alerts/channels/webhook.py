"""Alerts as JSON to any address."""

from base64 import b64encode
from typing import ClassVar

from msgspec import to_builtins

from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message
from tickertape.stream.configuration.connection import Secret


class Webhook(Channel, frozen=True, kw_only=True):
    """Posts ``{"id", "stage", "title", "text", "alerts", "reply_to", "picture"}``.

    The header ``Idempotency-Key`` has the message's id. The id of its own is what ``id`` in the answer's JSON says, or
    else the message's id.

    Attributes
    ----------
    url
        The address.
    token
        Sent as ``Authorization: Bearer``; empty: no such header.
    """

    kind: ClassVar[str] = "webhook"
    takes_pictures: ClassVar[bool] = True

    url: Secret
    token: Secret = Secret()

    async def send(self, message: Message, http: Http) -> str:
        headers = {"Idempotency-Key": message.id}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.reveal()}"
        body = {
            "id": message.id,
            "stage": message.stage,
            "title": message.title,
            "text": message.text,
            "alerts": [{"id": alert.id, **to_builtins(alert)} for alert in message.alerts],
            "reply_to": message.reply_to,
            "picture": b64encode(message.picture).decode(),
        }
        answer = await http.post(self.url.reveal(), json=body, headers=headers)
        return str(answer.json().get("id") or message.id)
