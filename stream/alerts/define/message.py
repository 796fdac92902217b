"""A message to a channel, and the two ways in which sending it can fail."""

from collections.abc import Sequence

from msgspec import Struct

from tickertape.schemas.alert import Alert, Stage

_PREFIX: dict[Stage, str] = {"fired": "", "confirmed": "Final: ", "retracted": "Not confirmed: "}


class Message(Struct, frozen=True):
    """What a channel sends.

    Attributes
    ----------
    id
        The message's id. It is the same in each try, so a channel that is told it can recognise a second one.
    stage
        ``fired`` reports signals. ``confirmed`` and ``retracted`` follow up on signals that were reported while they
        were provisional: they are final now, with another value or level, or they haven't become final in time.
    alerts
        The signals, one or more.
    reply_to
        What `Channel.send` returned for the message that this one follows up on; empty if there is none.
    picture
        A PNG of the symbol's recent price; empty if there is none.
    """

    id: str
    stage: Stage
    alerts: Sequence[Alert]
    reply_to: str = ""
    picture: bytes = b""

    @property
    def title(self) -> str:
        """The message in a few words."""
        rules = list(dict.fromkeys(alert.rule for alert in self.alerts))
        symbols = list(dict.fromkeys(alert.symbol for alert in self.alerts))
        return f"{_PREFIX[self.stage]}{_few(rules)}: {_few(symbols)}"

    @property
    def text(self) -> str:
        """The message with one line for each signal."""
        return "\n".join(_PREFIX[self.stage] + alert.text for alert in self.alerts)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


class NotSent(Exception):  # noqa: N818 - it may be sent later
    """A message wasn't sent, as far as is known. It is tried again later.

    Parameters
    ----------
    why
        The reason, in a few words.
    after_seconds
        How long the channel wants not to be called, as in ``Retry-After``; 0 if it doesn't say.
    """

    def __init__(self, why: str, after_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


class Refused(Exception):  # noqa: N818 - an answer, and no fault of the program
    """The channel refuses this very message, so it isn't tried again."""
