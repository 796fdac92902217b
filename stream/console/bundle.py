"""One script of the page's modules, and one style sheet: a browser makes five requests instead of fifty.

A module is written in a plain form, which is all that is read here: `import` names in braces, and `export` before a
`const`, a `function` or a `class`. Each module becomes a function that returns what it exports.
"""

import re
from collections.abc import Mapping
from posixpath import join, normpath

_IMPORT = re.compile(r'^import \{([^}]+)\} from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (const|class|function\*?|async function) (\w+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_SHEET = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n')


def script(files: Mapping[str, bytes], first: str) -> bytes:
    """Return one script of a module and of all that it imports.

    Parameters
    ----------
    files
        Files by path.
    first
        The path of the module.

    Raises
    ------
    ValueError
        A module has another form, or modules import each other in a circle.
    """
    done: dict[str, str] = {}
    _gather(files, first, done, ())
    return ("// All modules of the page; see the files in this folder.\n" + "".join(done.values())).encode()


def _gather(files: Mapping[str, bytes], path: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    """Add a module, after those that it imports."""
    if path in above:
        raise ValueError(f"modules import each other: {' -> '.join((*above, path))}")
    if path in done:
        return
    text = files[path].decode()
    imported = {place: normpath(join(path, "..", place)) for _, place in _IMPORT.findall(text)}
    for other in imported.values():
        _gather(files, other, done, (*above, path))
    exported = [name for _, name in _EXPORT.findall(text)]
    body = _IMPORT.sub(lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = {_name(imported[found[2]])};", text)
    body = _EXPORT.sub(r"\1 \2", body)
    if unread := _OTHER.search(body):
        raise ValueError(f"{path}: a form that isn't read here: {unread[0]}")
    done[path] = f"const {_name(path)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();\n"


def _name(path: str) -> str:
    return "m_" + re.sub(r"\W", "_", path.removesuffix(".js"))


def page(files: Mapping[str, bytes], source: str, scripts: tuple[str, str], sheet: str) -> tuple[bytes, bytes]:
    """Return the page with one script and one style sheet, and that sheet.

    Parameters
    ----------
    files
        Files by path.
    source
        The page's path.
    scripts
        The path of the module that the page names, and that of the script which takes its place.
    sheet
        The path of the style sheet which takes the place of all that the page names.
    """
    text = files[source].decode()
    sheets = _SHEET.findall(text)
    text = _SHEET.sub(f'<link rel="stylesheet" href="{sheet}">\n', text, count=1)
    text = _SHEET.sub(lambda found: found[0] if found[1] == sheet else "", text)
    text = text.replace(f'src="{scripts[0]}"', f'src="{scripts[1]}"')
    return text.encode(), b"\n".join(files[path] for path in sheets)
