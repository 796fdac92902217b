"""Settings as environment variables, for a process that must run with the same ones."""

import os

from msgspec import json

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.settings import PREFIX, TABLES, Settings


def environment(settings: Settings) -> dict[str, str]:
    """Return this process's environment variables, with the settings among them."""
    found = dict(os.environ)
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if name in TABLES:
            found |= {f"{PREFIX}{name}_{entry}".upper().replace("-", "_"): _text(it) for entry, it in value.items()}
        elif name == "feeds":
            found |= {f"{PREFIX}{entry}".upper(): it for entry, it in value.items()}
        else:
            found[f"{PREFIX}{name}".upper()] = _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return json.encode(value).decode()
    return ",".join(value) if isinstance(value, list) else str(value)
