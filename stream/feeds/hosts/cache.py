"""Where the feeds of a user keep what outlives them."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return the folder of this name in the user's cache.

    Raises
    ------
    RuntimeError
        There is no home folder.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickertape" / name
