"""A channel: where alerts are sent. Each kind is a small class, found in the modules of the setting ``agents``."""

from abc import abstractmethod
from typing import ClassVar

from tickertape.stream.alerts.define.http import Http
from tickertape.stream.alerts.define.message import Message
from tickertape.stream.configuration.entries import Entry


class Channel(Entry, frozen=True, kw_only=True):
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
    >>> from tickertape import Secret
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

    takes_pictures: ClassVar[bool] = False

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
