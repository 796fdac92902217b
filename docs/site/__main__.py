"""Write the documentation as a site: ``python -m docs.site FOLDER``. A broken link ends it with an error."""

import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main

from docs.site import commands, metrics, reference

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# Pages made from files outside docs/.
COPIED = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security-policy.md",
}


def pages() -> dict[str, str]:
    """Return the text of every page by its path."""
    found = {page: _link_root(ROOT / name) for name, page in COPIED.items()}
    found |= {path.name: _link_docs(path.read_text()) for path in sorted((ROOT / "docs").glob("*.md"))}
    found |= metrics.pages()
    found |= {
        "index.md": (HERE / "index.md").read_text(),
        "reference.md": reference.python(),
        "examples.md": reference.examples(ROOT / "examples"),
        "commands.md": commands.page(),
        "settings.md": commands.settings(),
    }
    return found


def write(folder: Path) -> int:
    """Write the pages' sources and the site into a folder; return Sphinx's exit status."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    for name, text in pages().items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in (ROOT / "docs").iterdir():
        if path.suffix in (".toml", ".svg"):
            shutil.copy(path, source)
    shutil.copytree(
        ROOT / "docs" / "pictures", source / "pictures", ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    # -W: a warning, such as of a link to nowhere, is an error; all of them are shown.
    return main(["-W", "--keep-going", "-q", "-b", "html", "-c", str(HERE), str(source), str(folder / "html")])


def _link_root(path: Path) -> str:
    """Return a page made from a file in the root: links are relative to the root."""
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", path.read_text())
    return re.sub(r"\]\(((?!http)[\w./-]+)(#[^)]*)?\)", _page, text)


def _link_docs(text: str) -> str:
    """Return a page of docs/: links to files beside docs/ lead to their pages."""
    return re.sub(r"\]\(\.\./([^)#]+)(#[^)]*)?\)", _page, text)


def _page(link: re.Match[str]) -> str:
    name, anchor = link[1], link[2] or ""
    if name in COPIED:
        return f"]({COPIED[name]}{anchor})"
    if name.startswith("examples/"):
        return f"](examples.md#{reference.anchor(Path(name))})"
    return link[0]


if __name__ == "__main__":
    sys.exit(write(Path(sys.argv[1])))
