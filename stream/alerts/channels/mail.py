"""Alerts by e-mail, over SMTP."""

import asyncio
import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.define.http import REQUEST_SECONDS, Http
from tickertape.stream.alerts.define.message import Message, NotSent, Refused
from tickertape.stream.configuration.connection import Secret

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Mail(Channel, frozen=True, kw_only=True):
    """Sends text with the picture attached. The message's id is in ``Message-ID``; follow-ups are replies.

    Attributes
    ----------
    host, port
        The server.
    sender, to
        The addresses. The sender's domain is also that of ``Message-ID``.
    user, password
        For servers that require them.
    tls
        ``starttls``, ``tls`` (from the first byte on) or ``none``.
    """

    kind: ClassVar[str] = "mail"
    takes_pictures: ClassVar[bool] = True

    host: str
    sender: str
    to: Annotated[list[str], Meta(min_length=1)]
    port: int = 587
    user: str = ""
    password: Secret = Secret()
    tls: Literal["starttls", "tls", "none"] = "starttls"

    def wrong(self) -> str:
        if self.password and self.tls == "none" and self.host not in _LOOPBACK:
            return "tls is none, so the password would be sent in the clear"
        return ""

    async def send(self, message: Message, http: Http) -> str:  # noqa: ARG002 - it takes no HTTP
        mail = self._mail(message)
        servers: list[smtplib.SMTP] = []
        sending = asyncio.get_running_loop().run_in_executor(None, self._send, mail, servers)
        try:
            await asyncio.wait_for(sending, REQUEST_SECONDS)
        except TimeoutError:
            raise NotSent(f"the mail isn't accepted within {REQUEST_SECONDS:g} s") from None
        finally:
            # Ends a thread that still waits for a server.
            for server in servers:
                with suppress(OSError, AttributeError):
                    server.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # no socket: AttributeError
        return str(mail["Message-ID"])

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.title, self.sender, ", ".join(self.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.id}@{self.sender.rpartition('@')[2].rstrip('>')}>"
        if message.reply_to:
            mail["In-Reply-To"] = mail["References"] = message.reply_to
        mail.set_content(message.text + "\n")
        if message.picture:
            mail.add_attachment(message.picture, maintype="image", subtype="png", filename="price.png")
        return mail

    def _send(self, mail: EmailMessage, servers: list[smtplib.SMTP]) -> None:
        context = ssl.create_default_context()
        try:
            if self.tls == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=REQUEST_SECONDS, context=context)
            else:
                server = smtplib.SMTP(self.host, self.port, timeout=REQUEST_SECONDS)
            servers.append(server)
            try:
                if self.tls == "starttls":
                    server.starttls(context=context)
                if self.user:
                    server.login(self.user, self.password.reveal())
                server.send_message(mail)
            finally:
                # Whatever the server says to QUIT, it has the mail.
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            why = f"the recipients are refused: {', '.join(map(str, sorted(codes)))}"
            raise (Refused if all(code >= 500 for code in codes) else NotSent)(why) from None
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent(f"the server refuses user and password: {error.smtp_code}") from None
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            why = f"the server says {error.smtp_code} {said}"
            raise (Refused if isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500 else NotSent)(
                why
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotSent(f"no connection ({type(error).__name__})") from None
