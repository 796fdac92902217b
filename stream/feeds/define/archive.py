"""A file of a source's past trades."""

from msgspec import Struct


class Archive(Struct, frozen=True):
    """The file of one symbol and day, UTC.

    Attributes
    ----------
    url
        Its address. The file has the name at its end.
    format
        The name of its format, as of ``tickertape feed file --format``.
    checksum_url
        The address of a text that begins with the file's SHA-256, in hexadecimal digits.
    """

    url: str
    format: str
    checksum_url: str
