"""Open the page in the user's browser."""

import webbrowser
from collections.abc import Callable


def open_page(address: str, say: Callable[[str], None]) -> None:
    """Open an address in a browser with a window of its own; one that runs in the terminal would take that over.

    Parameters
    ----------
    address
        The page's address.
    say
        Receives a line if no browser can be opened.
    """
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        say(f"there is no browser here: open {address}")
        return
    in_terminal = isinstance(browser, webbrowser.GenericBrowser) and not isinstance(
        browser, webbrowser.BackgroundBrowser
    )
    if in_terminal or not browser.open(address):
        say(f"no browser can be opened from here: open {address}")
