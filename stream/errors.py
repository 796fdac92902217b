"""Every error that Tickertape raises for something that its user can mend.

``TickertapeError``
    ``ConfigError``         a setting or an argument is wrong (exit 2)
    ``InputError``          a file or its records can't be read (exit 3)
    ``BrokerError``         Kafka can't be reached, or refuses (exit 4)
        ``AccessError``     Kafka is there and doesn't let us in: TLS, credentials or rights (exit 7)
    ``EmbeddedKafkaError``  the embedded Kafka can't start (exit 5)
    ``LawBroken``           what came out doesn't add up (exit 6)

The command prints one of them as a line and exits with its code; anything else is a bug, and shows its traceback.
"""

from typing import ClassVar


class TickertapeError(Exception):
    """What is wrong, where, and what to do, in one line."""

    exit_code: ClassVar[int] = 1


class ConfigError(TickertapeError):
    exit_code = 2


class InputError(TickertapeError):
    exit_code = 3


class BrokerError(TickertapeError):
    exit_code = 4


class AccessError(BrokerError):
    exit_code = 7


class EmbeddedKafkaError(TickertapeError):
    exit_code = 5


class LawBroken(TickertapeError):  # noqa: N818 - it is a verdict, and reads as one
    exit_code = 6


def one_line(text: str, limit: int = 200) -> str:
    """Return what another program said, so that it fits in a message of ours: one line, printable, not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def name_and_text(error: BaseException) -> str:
    """Return an error's name and text; Kafka's errors have their name in their text already."""
    name, text = type(error).__name__, str(error)
    return text if text.startswith(name) else f"{name}: {text}" if text else name
