"""Every error that Tickertape raises for something that its user can mend.

``TickertapeError``
    ``ConfigError``         a setting or an argument is wrong (exit 2)
    ``InputError``          a file or its records can't be read (exit 3)
    ``BrokerError``         Kafka can't be reached, or refuses (exit 4)
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


class EmbeddedKafkaError(TickertapeError):
    exit_code = 5


class LawBroken(TickertapeError):  # noqa: N818 - it is a verdict, and reads as one
    exit_code = 6
