"""The errors that Tickertape raises for problems that its user can fix, each with an exit code.

``TickertapeError``
    ``ConfigError``         a setting or an argument is wrong (exit 2)
    ``InputError``          a file or its records can't be read (exit 3)
    ``BrokerError``         Kafka can't be reached, or refuses a request (exit 4)
        ``AccessError``     Kafka denies access: TLS, credentials or rights (exit 7)
    ``EmbeddedKafkaError``  the embedded Kafka can't start, or has ended (exit 5)
    ``LawBroken``           a check has failed, or results don't add up (exit 6)
    ``DatabaseError``       a database refuses rows, tables or who asks (exit 8)

A command prints such an error as one line, and exits with its code. Any other exception is a bug, and prints its
traceback.
"""

from typing import ClassVar


class TickertapeError(Exception):
    """An error whose message says, in one line, what is wrong, where, and what to do."""

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


class LawBroken(TickertapeError):  # noqa: N818 - the result of a check, not a fault of the program
    exit_code = 6


class DatabaseError(TickertapeError):
    exit_code = 8


def one_line(text: str, limit: int = 200) -> str:
    """Return another program's message as one printable line of limited length, for use in our own messages."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def counted(number: int, many: str, one: str = "") -> str:
    """Return a number with its noun: ``1 trade``, ``1,234 trades``.

    Parameters
    ----------
    number
        The number.
    many, one
        The noun in the plural and in the singular, which without it is the plural without its last letter.
    """
    return f"{number:,} {(one or many[:-1]) if number == 1 else many}"


def name_and_text(error: BaseException) -> str:
    """Return an error's name and text. The text of Kafka's errors already begins with the name."""
    name, text = type(error).__name__, str(error)
    return text if text.startswith(name) else f"{name}: {text}" if text else name
