"""The page's modules as one script: hand-made modules, what comes of them, and those that can't be read."""

import re

import pytest

from tickertape.stream.console import assets, bundle

MAIN = """import { twice, ONE as one } from "./sums/sums.js";
import { shown } from "./shown.js";
shown(twice(one));
"""
SUMS = """import { shown } from "../shown.js";
export const ONE = 1;
export function twice(n) {
  return shown(2 * n);
}
"""
SHOWN = """let last;
export function shown(n) {
  last = n;
  return last;
}
"""
FILES = {"script/main.js": MAIN.encode(), "script/sums/sums.js": SUMS.encode(), "script/shown.js": SHOWN.encode()}


def test_each_module_becomes_a_function_after_those_that_it_imports() -> None:
    assert bundle.script(FILES, "script/main.js").decode().partition("\n")[2] == (
        "const m_script_shown = (() => {\n"
        "let last;\nfunction shown(n) {\n  last = n;\n  return last;\n}\n\n"
        "return { shown };\n})();\n"
        "const m_script_sums_sums = (() => {\n"
        "const { shown } = m_script_shown;\nconst ONE = 1;\nfunction twice(n) {\n  return shown(2 * n);\n}\n\n"
        "return { ONE, twice };\n})();\n"
        "const m_script_main = (() => {\n"
        "const { twice, ONE: one } = m_script_sums_sums;\nconst { shown } = m_script_shown;\nshown(twice(one));\n\n"
        "return {  };\n})();\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        b'import shown from "./shown.js";',
        b"export default 7;",
        b"export let last = 7;",
    ],
)
def test_another_form_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a\.js: a form that isn't read here: (im|ex)port"):
        bundle.script({"a.js": text, "shown.js": b""}, "a.js")


def test_a_circle_is_refused() -> None:
    circle = {"a.js": b'import { b } from "./b.js";', "b.js": b'import { a } from "./a.js";'}
    with pytest.raises(ValueError, match=r"^modules import each other: a\.js -> b\.js -> a\.js$"):
        bundle.script(circle, "a.js")


def test_the_page_names_one_script_and_one_style_sheet_and_the_library() -> None:
    found = assets.load()
    page = found["index.html"].plain.decode()
    assert re.findall(r'<link rel="stylesheet" href="([^"]+)"', page) == ["style/all.css"]
    assert re.findall(r'<script[^>]* src="([^"]+)"', page) == [
        "script/kept/early.js",
        "script/lightweight-charts.js",
        "script/all.js",
    ]
    # No module is left out.
    modules = [path for path in found if path.startswith("script/") and path not in (assets.CHARTS, assets.SCRIPT)]
    assert found[assets.SCRIPT].plain.count(b"\nconst m_script_") == len(modules) - 1
