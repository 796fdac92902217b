"""A channel: where alerts are sent. Each kind is a small class, found in the modules of the setting ``agents``."""

from abc import abstractmethod
from typing import ClassVar
from urllib.parse import quote

from msgspec import Struct, structs

from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.errors import one_line


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of a kind of channel. The class's fields are what a ``[[channel]]`` in the file of alerts may set.

    A field of the type `Secret` is set by its name with ``_env`` or ``_file``: ``token_env = "PAGER_TOKEN"``.

    Attributes
    ----------
    kind
        The name of this kind of channel in the file.
    takes_pictures
        Whether its messages may have a picture.
    name
        The channel's own name.

    Examples
    --------
    >>> class Pager(Channel, frozen=True, kw_only=True):
    ...     kind: ClassVar[str] = "pager"
    ...     url: str
    ...     token: Secret
    ...
    ...     async def send(self, message: Message, http: Http) -> str:
    ...         body = {"text": message.text, "dedup_key": message.id}
    ...         headers = {"Authorization": f"Bearer {self.token.reveal()}"}
    ...         return str((await http.post(self.url, json=body, headers=headers)).json().get("id", ""))
    """

    kind: ClassVar[str]
    takes_pictures: ClassVar[bool] = False

    name: str

    @abstractmethod
    async def send(self, message: Message, http: Http) -> str:
        """Send a message, and return the channel's own id of it, or an empty text.

        Raises
        ------
        NotSent
            It wasn't sent, and may be tried again. Any other exception counts as this one.
        Refused
            The channel refuses this very message.
        """

    def wrong(self) -> str:
        """Return what is wrong with the fields; empty if nothing is."""
        return ""

    def hide(self, text: str) -> str:
        """Return a text in one line, with each of the channel's secrets replaced."""
        for value in structs.astuple(self):
            if isinstance(value, Secret) and value:
                for shown in (value.reveal(), quote(value.reveal()), quote(value.reveal(), safe="")):
                    text = text.replace(shown, "…")
        return one_line(text)
