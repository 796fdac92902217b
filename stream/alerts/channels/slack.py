"""Alerts to Slack: by an incoming webhook, or as a bot, which can answer in threads."""

from typing import Any, ClassVar

from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message, NotSent
from tickertape.stream.configuration.connection import Secret


class Slack(Channel, frozen=True, kw_only=True):
    """Posts text. As a bot, follow-ups are in the thread of the message that they are about.

    Attributes
    ----------
    url
        The address of an incoming webhook.
    token, to
        A bot's token with the right ``chat:write``, and the id of the conversation to post to.
    api
        The address of Slack's API.
    """

    kind: ClassVar[str] = "slack"

    url: Secret = Secret()
    token: Secret = Secret()
    to: str = ""
    api: str = "https://slack.com/api"

    def wrong(self) -> str:
        if bool(self.url) == bool(self.token):
            return "set one of url and token"
        return "token needs `to`, the id of a conversation" if self.token and not self.to else ""

    async def send(self, message: Message, http: Http) -> str:
        text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body: dict[str, Any] = {"text": text, "unfurl_links": False}
        if self.url:
            await http.post(self.url.reveal(), json=body)
            return ""
        body["channel"] = self.to
        if message.reply_to:
            body |= {"thread_ts": message.reply_to, "reply_broadcast": True}
        headers = {"Authorization": f"Bearer {self.token.reveal()}"}
        answer = (await http.post(f"{self.api}/chat.postMessage", json=body, headers=headers)).json()
        if not answer.get("ok"):
            raise NotSent(f"Slack says {answer.get('error', 'nothing')}")
        return str(answer.get("ts", ""))
