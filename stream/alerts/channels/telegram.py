"""Alerts by a Telegram bot."""

from typing import Any, ClassVar

from aiohttp import FormData

from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message
from tickertape.stream.configuration.connection import Secret

# Telegram's limits, in characters.
_TEXT = 4096
_CAPTION = 1024


class Telegram(Channel, frozen=True, kw_only=True):
    """Sends text, or a picture with a caption. Follow-ups are replies to the message that they are about.

    Attributes
    ----------
    token
        The bot's token.
    chat
        The id of the chat, or ``@name`` of a public channel.
    api
        The address of the Bot API.
    """

    kind: ClassVar[str] = "telegram"
    takes_pictures: ClassVar[bool] = True

    token: Secret
    chat: str
    api: str = "https://api.telegram.org"

    async def send(self, message: Message, http: Http) -> str:
        reply = f'{{"message_id":{message.reply_to},"allow_sending_without_reply":true}}' if message.reply_to else ""
        fields = {"chat_id": self.chat, **({"reply_parameters": reply} if reply else {})}
        form = FormData(fields)
        if message.picture and len(message.text) <= _CAPTION:
            method = "sendPhoto"
            form.add_field("caption", message.text)
            form.add_field("photo", message.picture, filename="price.png", content_type="image/png")
        else:
            method = "sendMessage"
            form.add_field("text", message.text[:_TEXT])
        answer = await http.post(f"{self.api}/bot{self.token.reveal()}/{method}", data=form)
        result: Any = answer.json().get("result")
        return str(result.get("message_id", "")) if isinstance(result, dict) else ""
