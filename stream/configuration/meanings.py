"""The meaning of each field of a Struct, from its docstring."""

import inspect
import re

import msgspec


def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the meaning of each field of a Struct, by its name, from its docstring and those of its bases.

    Marks of footnotes are left out, because the notes aren't part of it.
    """
    found = {}
    for kind in reversed(struct.__mro__):
        attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n----------\n")[2]
        for names, text in re.findall(r"^(\w.*)\n((?: .*\n?)+)", attributes, re.MULTILINE):
            for name in names.split(", "):
                found[name] = " ".join(re.sub(r"\s+\[\d+\]_", "", text).replace("``", "").split())
    return found
