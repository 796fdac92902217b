"""Sphinx's configuration; `python -m docs.site` writes the pages and runs Sphinx on them."""

import re
from importlib.metadata import version as version_of
from typing import Any

from sphinx.application import Sphinx

project = "Tickertape"
version = release = version_of("tickertape")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "Tickertape"
html_copy_source = False
html_show_sphinx = False

# `Name` in a docstring is a link where there is such a name, else code.
default_role = "py:obj"
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
# A diagram in a fence without a language is text.
highlight_language = "none"


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", _number_references)


def _number_references(*event: Any) -> None:
    """Make text of references such as [1]: several docstrings on a page use the same numbers."""
    lines = event[-1]
    text = re.sub(r"\[(\d+)\]_", r"[\1]", "\n".join(lines))
    # The text of a reference goes on in indented lines.
    lines[:] = re.sub(r"^\.\. (\[\d+\] .*(?:\n +.*)*)", _joined, text, flags=re.MULTILINE).split("\n")


def _joined(found: re.Match[str]) -> str:
    return " ".join(found[1].split()) + "\n"
