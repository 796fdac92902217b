"""What each channel sends, and what it makes of the answers. Bodies are those of the services' own documentation."""

import asyncio
import email
import email.policy
import json
from email.message import EmailMessage

import pytest

from tests.alerts.made import alert
from tests.alerts.servers import DROP, STALL, post, web
from tickertape.stream.alerts.channels.alertmanager import Alertmanager
from tickertape.stream.alerts.channels.mail import Mail
from tickertape.stream.alerts.channels.slack import Slack
from tickertape.stream.alerts.channels.telegram import Telegram
from tickertape.stream.alerts.channels.webhook import Webhook
from tickertape.stream.alerts.define import http as http_module
from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message, NotSent, Refused
from tickertape.stream.configuration.connection import Secret

ONE = Message("abc", "fired", [alert()])
TEXT = (
    "[critical] breakout: BTC-USD close 103 passed 102 (bars 1s of all sources, 2023-11-14 22:13:21 UTC)"  # worked out
)


def send(channel: Channel, message: Message = ONE) -> str:
    async def run() -> str:
        async with Http() as http:
            return await channel.send(message, http)

    return asyncio.run(run())


def test_a_webhook_gets_json_with_the_id_as_its_idempotency_key() -> None:
    with web(body='{"id": 17}') as server:
        channel = Webhook(name="ops", url=Secret(server.url + "/in"), token=Secret("hush"))
        assert send(channel, Message("abc", "retracted", [alert()], "16", b"\x89PNG")) == "17"
    (request,) = server.requests
    assert (request.path, request.headers["Idempotency-Key"]) == ("/in", "abc")
    assert request.headers["Authorization"] == "Bearer hush"
    body = request.json
    assert (body["id"], body["stage"], body["reply_to"], body["picture"]) == ("abc", "retracted", "16", "iVBORw==")
    assert body["text"] == f"Not confirmed: {TEXT}"
    assert body["alerts"][0]["id"] == "breakout|BTC-USD|all|1s|1700000000000"
    assert (body["alerts"][0]["value"], body["alerts"][0]["severity"]) == (103.0, "critical")


def test_a_webhook_that_gives_no_id_has_the_messages_own() -> None:
    with web(body="thanks") as server:
        assert send(Webhook(name="ops", url=Secret(server.url))) == "abc"


def test_slack_by_its_webhook() -> None:
    with web(body="ok") as server:
        channel = Slack(name="ops", url=Secret(server.url + "/services/T0/B0/x"))
        assert send(channel, Message("abc", "fired", [alert(rule="a<b&c")])) == ""
    (request,) = server.requests
    assert request.json["text"].startswith("[critical] a&lt;b&amp;c: BTC-USD")


def test_slack_as_a_bot_follows_up_in_the_thread() -> None:
    with web(body='{"ok": true, "ts": "1503435956.000247"}') as server:
        channel = Slack(name="ops", token=Secret("xoxb-1"), to="C1", api=server.url)
        assert send(channel) == "1503435956.000247"
        send(channel, Message("abd", "confirmed", [alert()], "1503435956.000247"))
    first, second = server.requests
    assert (first.path, first.headers["Authorization"]) == ("/chat.postMessage", "Bearer xoxb-1")
    assert first.json == {"text": TEXT, "unfurl_links": False, "channel": "C1"}
    assert second.json["thread_ts"] == "1503435956.000247"
    with web(body='{"ok": false, "error": "channel_not_found"}') as server, pytest.raises(NotSent, match="channel_not"):
        send(Slack(name="ops", token=Secret("xoxb-1"), to="C1", api=server.url))


def test_telegram_sends_text_or_a_photo_and_replies() -> None:
    with web(body='{"ok": true, "result": {"message_id": 42}}') as server:
        channel = Telegram(name="ops", token=Secret("1:AA"), chat="-100", api=server.url)
        assert send(channel) == "42"
        send(channel, Message("abd", "retracted", [alert()], "42", b"\x89PNG"))
    text, photo = server.requests
    assert text.path == "/bot1:AA/sendMessage"
    assert text.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert b"chat_id=-100&text=%5Bcritical%5D+breakout" in text.body
    assert photo.path == "/bot1:AA/sendPhoto"
    assert b'name="photo"; filename="price.png"' in photo.body
    assert b'{"message_id":42,"allow_sending_without_reply":true}' in photo.body


def test_alertmanager_gets_labels_that_are_the_same_in_each_try() -> None:
    with web() as server:
        channel = Alertmanager(name="ops", url=server.url + "/")
        send(channel, Message("abc", "fired", [alert(), alert(symbol="ETH-USD")]))
        send(channel, Message("abd", "retracted", [alert()]))
    first, second = server.requests
    assert first.path == "/api/v2/alerts"
    fired, other = first.json
    assert fired["labels"] == {
        "alertname": "breakout",
        "symbol": "BTC-USD",
        "source": "all",
        "resolution": "1s",
        "severity": "critical",
        "start": "1700000000000",
    }
    assert other["labels"]["symbol"] == "ETH-USD"
    assert fired["startsAt"] == "2023-11-14T22:13:21+00:00"
    (resolved,) = second.json
    assert resolved["labels"] == fired["labels"]
    # It ends 300 s earlier than if it weren't retracted, so at once.
    assert resolved["endsAt"] < fired["endsAt"]


def parsed(mail: bytes) -> EmailMessage:
    found = email.message_from_bytes(mail, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def mail(port: int, **changes: object) -> Mail:
    values = {"name": "ops", "host": "127.0.0.1", "port": port, "sender": "t@example.org", "to": ["a@example.org"]}
    return Mail(**values | {"tls": "none"} | changes)  # type: ignore[arg-type]  # a test's shorthand


def test_a_mail_has_the_id_and_replies() -> None:
    with post() as server:
        channel = mail(server.port, to=["a@example.org", "b@example.org"])
        assert send(channel) == "<abc@example.org>"
        send(channel, Message("abd", "retracted", [alert()], "<abc@example.org>", b"\x89PNG"))
    first, second = map(parsed, server.mails)
    assert (first["Subject"], first["Message-ID"]) == ("breakout: BTC-USD", "<abc@example.org>")
    assert first["To"] == "a@example.org, b@example.org"
    assert first.get_content().strip() == TEXT
    assert second["In-Reply-To"] == "<abc@example.org>"
    (picture,) = second.iter_attachments()
    assert (picture.get_filename(), picture.get_content()) == ("price.png", b"\x89PNG")


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [("451 try later", NotSent, "451 try later"), ("554 spam", Refused, "554 spam"), (DROP, NotSent, "no connection")],
)
def test_what_a_mail_server_says(answer: str, error: type[Exception], told: str) -> None:
    with post(answer) as server, pytest.raises(error, match=told):
        send(mail(server.port))


def test_a_password_is_used_and_not_shown() -> None:
    with post() as server:
        send(mail(server.port, user="me", password=Secret("hush")))
    # RFC 4616: a NUL, the user, a NUL, the password; "\0me\0hush" in base64.
    assert "AUTH PLAIN AG1lAGh1c2g=" in server.commands
    assert mail(1, password=Secret("hush")).wrong() == ""
    assert "clear" in mail(1, host="mail.example.org", password=Secret("hush")).wrong()


@pytest.mark.parametrize(
    ("answer", "error", "after_seconds"),
    [
        (500, NotSent, 0),
        (401, NotSent, 0),
        (302, NotSent, 0),
        ((429, {"Retry-After": "7"}), NotSent, 7),
        ((503, {"Retry-After": "Fri, 14 Nov 1975 22:13:20 GMT"}), NotSent, 0),
        ((503, {"Retry-After": "soon"}), NotSent, 0),
        (DROP, NotSent, 0),
        (400, Refused, None),
        (422, Refused, None),
    ],
)
def test_what_an_http_server_says(answer: object, error: type[Exception], after_seconds: float | None) -> None:
    with web(answer) as server, pytest.raises(error) as found:
        send(Webhook(name="ops", url=Secret(server.url)))
    assert getattr(found.value, "after_seconds", None) == after_seconds
    assert len(server.requests) == 1


def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "REQUEST_SECONDS", 0.3)
    with web(STALL) as server, pytest.raises(NotSent, match=r"no answer within 0\.3 s"):
        send(Webhook(name="ops", url=Secret(server.url)))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/s3cret", "http:///s3cret", "no url s3cret", "http://s3cret.invalid/"]
)
def test_an_error_never_has_the_address(url: str) -> None:
    with pytest.raises(NotSent) as found:
        send(Webhook(name="ops", url=Secret(url)))
    assert "s3cret" not in str(found.value)


def test_a_channel_hides_its_secrets_in_what_a_server_says() -> None:
    channel = Webhook(name="ops", url=Secret("http://a/b c"), token=Secret("t/k n"))
    assert channel.hide("no t/k n for http://a/b c,\nnor t%2Fk%20n") == "no … for …, nor …"
    assert "t/k n" not in repr(channel)
    assert "t/k n" not in json.dumps(str(channel))
