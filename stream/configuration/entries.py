"""Entries of a settings' file whose kind is a small class, ours or a user's: an alert's channel, or a database."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct, structs

from tickertape.stream.configuration.connection import Secret, secret_from
from tickertape.stream.errors import ConfigError, one_line
from tickertape.stream.extensions.loading import modules


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of what an entry of a file describes.

    Attributes
    ----------
    kind
        The name of the class in the file.
    name
        The entry's own name.
    """

    kind: ClassVar[str]

    name: str

    def wrong(self) -> str:
        """Return what is wrong with the fields; empty if nothing is."""
        return ""

    def hide(self, text: str) -> str:
        """Return a text in one line, with each of the entry's secrets replaced."""
        for value in structs.astuple(self):
            if isinstance(value, Secret) and value:
                for shown in (value.reveal(), quote(value.reveal()), quote(value.reveal(), safe="")):
                    text = text.replace(shown, "…")
        return one_line(text)


Some = TypeVar("Some", bound=Entry)


def entries_in(
    values: Sequence[Mapping[str, Any]],
    base: type[Some],
    what: str,
    places: Sequence[str],
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Some]:
    """Make the objects that the entries of a file describe, and return them by name.

    Parameters
    ----------
    values
        The entries: see `entry_of`.
    base
        What their kinds inherit from.
    what
        What an entry is, for messages: ``channel``.
    places
        Packages and folders that define the kinds: ours, and the setting ``agents``.
    folder
        What files with secrets are relative to.
    environ
        The environment that ``…_env`` is about; by default that of the process.

    Raises
    ------
    ValueError
        Something in an entry isn't valid, or two have one name. The message never shows a secret.
    ConfigError
        A place can't be loaded, or two kinds have one name.
    """
    kinds = kinds_in(places, base, what)
    given = os.environ if environ is None else environ
    found: dict[str, Some] = {}
    for entry in (entry_of(one, kinds, what, folder, given) for one in values):
        if found.setdefault(entry.name, entry) is not entry:
            raise ValueError(f"two {what}s have the name {entry.name}")
    return found


def kinds_in(places: Sequence[str], base: type[Some], what: str) -> dict[str, type[Some]]:
    """Return the classes that some places define, by their ``kind``.

    Parameters
    ----------
    places
        Packages and folders: ours, and the setting ``agents``.
    base
        What they inherit from.
    what
        What they are, for messages: ``channel``.

    Raises
    ------
    ConfigError
        A place can't be loaded, or two kinds have one name.
    """
    found: dict[str, type[Some]] = {}
    for module in modules(places):
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, base) and hasattr(value, "kind")):
                continue
            if found.setdefault(value.kind, value) is not value:
                raise ConfigError(f"{module.__file__}: a kind of {what} {value.kind} exists already: rename it")
    return found


def entry_of(
    values: Mapping[str, Any], kinds: Mapping[str, type[Some]], what: str, folder: Path, environ: Mapping[str, str]
) -> Some:
    """Make the object that an entry describes. A secret ``token`` is set by ``token_env`` or ``token_file``.

    Parameters
    ----------
    values
        The entry. Its ``kind`` chooses the class, and the others are the class's fields.
    kinds
        The classes, by kind.
    what
        What an entry is, for messages.
    folder
        What files with secrets are relative to.
    environ
        The environment that ``…_env`` is about.

    Raises
    ------
    ValueError
        Something in it isn't valid. The message never shows a secret.
    """
    values = dict(values)
    name, kind = values.get("name"), values.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"{what} {name}: no such kind, {kind}; there are {', '.join(sorted(kinds))}")
    secrets = [one.name for one in structs.fields(kinds[kind]) if one.type is Secret]
    try:
        values = with_secrets(values, secrets, folder, environ)
    except ValueError as error:
        raise ValueError(f"{what} {name}: {error}") from None
    try:
        made = msgspec.convert(values, kinds[kind], dec_hook=secret_from)
    except msgspec.ValidationError as error:
        raise ValueError(f"{what} {name}: {error}") from None
    if wrong := made.wrong():
        raise ValueError(f"{what} {name}: {wrong}")
    return made


def with_secrets(
    values: Mapping[str, Any], secrets: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return values with their secrets, which ``…_env`` or ``…_file`` name.

    Parameters
    ----------
    values
        What a file says.
    secrets
        The names of those that are secrets.
    folder
        What files with secrets are relative to.
    environ
        The environment that ``…_env`` is about.

    Raises
    ------
    ValueError
        A secret is written in the file, or isn't where it should be. The message never shows it.
    """
    found = dict(values)
    for secret in secrets:
        if secret in found:
            raise ValueError(f"{secret} is a secret: write {secret}_env or {secret}_file instead")
        variable, file = found.pop(f"{secret}_env", None), found.pop(f"{secret}_file", None)
        if variable is not None:
            if not environ.get(variable):
                raise ValueError(f"{secret}_env names {variable}, which isn't set")
            found[secret] = environ[variable]
        elif file is not None:
            try:
                found[secret] = (folder / file).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{secret}_file can't be read: {type(error).__name__}") from None
    return found
