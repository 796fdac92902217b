"""Which databases are installed here."""

import shutil
from pathlib import Path


def postgres_programs() -> Path | None:
    """Return the folder with the programs of PostgreSQL; None if it isn't installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
