"""Make text from records and brokers safe to show on a terminal or in a log."""


def shown(text: str) -> str:
    r"""Return a text with its invisible characters escaped as in JSON.

    Among them are control characters, which a terminal obeys, and marks that reverse the direction of text.

    Examples
    --------
    >>> shown("a\x1b[2Jb")
    'a\\u001b[2Jb'
    """
    return text if text.isprintable() else "".join(map(_spelled, text))


def _spelled(letter: str) -> str:
    if letter.isprintable():
        return letter
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
