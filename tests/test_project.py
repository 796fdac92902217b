"""What every file of the project keeps to, and what its pages promise."""

import doctest
import importlib
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tickertape.schemas.trade import Trade
from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Recursion
from tickertape.testing import run

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))

# A file that can't be read in one go is two; a longer one has its reason here.
LINES = 450
LONGER: dict[str, str] = {}
# Files without text.
PICTURES = {".png"}

# Folders of somebody's machine; spelled so that this line is none.
MACHINE = re.compile(r"(?<![\w.])/(?:ho[m]e|ro[o]t|Use[r]s|wo[r]k|op[t]|privat[e])/\w|[A-Z]:\\\\?Users")
# Registries have mirrors, and those who build know theirs.
REGISTRIES = re.compile(
    r"\b(?:https?|ftp)://\S*(?:py[p]i|pythonhoste[d]|npmj[s]|artifactor[y]|nexu[s]|jfro[g]|repo1?\.mave[n])\S*"
)

EXCEPTION = re.compile(r"#\s*(?:ruff:\s*)?(?:noqa|type:\s*ignore)")
WITH_REASON = re.compile(
    r"#\s*(?:ruff:\s*)?(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w,\s-]+\])\s*(?:#|--?)\s*\w.{5,}"
)


def tracked() -> list[Path]:
    """Return the files that git has, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def texts(suffix: str = "") -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path.name.endswith(suffix) and path.suffix not in PICTURES:
            yield str(path.relative_to(ROOT)), path.read_text()


def numbered(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, re.Match[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        yield from ((number, match) for match in pattern.finditer(line))


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert [f"{name}:{number}" for name, text in texts() for number, _ in numbered(MACHINE, text)] == []


def test_no_file_names_a_registry() -> None:
    assert [f"{name}:{number}" for name, text in texts() for number, _ in numbered(REGISTRIES, text)] == []


def test_files_are_short() -> None:
    long = {name: text.count("\n") for name, text in texts(".py") if text.count("\n") > LINES}
    assert {name: lines for name, lines in long.items() if name not in LONGER} == {}
    assert [name for name in LONGER if name not in long] == []


def test_every_exception_from_a_rule_has_its_reason() -> None:
    comments = (
        (name, token)
        for name, text in texts(".py")
        for token in tokenize.generate_tokens(StringIO(text).readline)
        if token.type == tokenize.COMMENT
    )
    bare = [
        f"{name}:{token.start[0]}: {token.string}"
        for name, token in comments
        if EXCEPTION.search(token.string) and not WITH_REASON.search(token.string)
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("comment", "fine"),
    [
        ("# type: ignore[misc]  # Faust is untyped here", True),
        ("# noqa: N818 - it is a verdict, and reads as one", True),
        ("# ruff: noqa: ARG002, N801 -- a mutation is named by its sentence", True),
        ("# noqa: N818", False),
        ("# noqa", False),
        ("# type: ignore  # Faust is untyped here", False),
        ("# type: ignore[misc]", False),
    ],
)
def test_what_counts_as_a_reason(comment: str, fine: bool) -> None:
    assert bool(WITH_REASON.search(comment)) is fine


# What the pages promise.

SETTINGS = Settings(agents=["tickertape.agents", str(ROOT / "examples")])


def commands(page: str) -> Iterator[list[str]]:
    """Yield the commands that a page shows, in code of its own lines and in running text."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in lines:
        for part in re.split(r"&&|\||;|#", line):
            words = part.removeprefix("$ ").split()
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                del words[0]
            if words:
                yield words


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_a_page_exist(page: str) -> None:
    unknown = [
        " ".join(words) for words in commands(page) if Path(words[0]).name == "tickertape" and not known(words[1:])
    ]
    assert unknown == []


def known(words: list[str]) -> bool:
    """Return whether there is a command of these words, with all of their options."""
    command: click.Command = cli
    options = {"--help"}
    for word in words:
        if word.startswith("-"):
            options |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.split("=")[0] not in options:
                return False
        elif isinstance(command, click.Group):
            if word.isupper():  # it stands for a name
                return True
            if (found := command.get_command(click.Context(command, obj=SETTINGS), word)) is not None:
                command = found
            # The value of an option that stands before the command, or a name that is none.
            elif not options - {"--help"}:
                return False
    return True


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("topics create", True),
        ("feed file PATH --format binance --speed max", True),
        ("feed file PATH --fromat binance", False),
        ("feed fly PATH", False),
        ("tale bars", False),
        ("--broker 127.0.0.1:9092 topics", True),
    ],
)
def test_what_counts_as_a_command(line: str, there: bool) -> None:
    assert known(line.split()) is there


@pytest.mark.parametrize("page", [*PAGES, ".ci/run"])
def test_targets_of_make_on_a_page_exist(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = (ROOT / page).read_text().splitlines() if page == ".ci/run" else map(" ".join, commands(page))
    asked = {match[1] for line in lines if (match := re.search(r"^(?:[A-Z_]+=\S* )*make ([\w-]+)", line))}
    assert asked <= targets


def test_metric_of_the_readme_works() -> None:
    _, code = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    names = {"__name__": "drawdown"}
    exec(code, names)
    recursion = names["DRAWDOWN"]
    assert isinstance(recursion, Recursion)
    assert recursion.output.name == "drawdown"
    state = {"high": np.array([0.0, 20.0])}
    assert recursion.step(state, {"close": np.array([10.0, 15.0])})["drawdown"].tolist() == [0.0, -0.25]
    assert recursion.step(state, {"close": np.array([9.0, 30.0])})["drawdown"].tolist() == pytest.approx([-0.1, 0.0])
    # What every result has, with it.
    rest = {"symbol", "source", "resolution", "start_ms", "final", "revision", "incomplete"}
    assert set(names["Drawdown"].__struct_fields__) == {"drawdown", *rest}


def test_indicator_of_its_page_works(tmp_path: Path) -> None:
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "indicators.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "peak.py").write_text(code)
    settings = Settings(agents=["tickertape.agents", f"{tmp_path}/"], indicators="peak(2)@1s")
    peak = next(one for one in configured(settings).indicators if one.name == "peak")
    prices = enumerate([8.0, 2.0, 3.0])
    trades = [
        Trade(symbol="A", source="s", id=n, time_ms=1_700_000_000_000 + 1000 * n, price=price, quantity=1.0, side="buy")
        for n, price in prices
    ]
    found = run(trades, peak, settings=settings).results["peaks/peak_2"]
    assert [(one.peak, one.ready) for one in found if one.source == "all"] == [(8.0, True), (4.0, True), (3.0, True)]


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md", "SECURITY.md", "examples/README.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:stream|tests|agents|schemas|grafana|prometheus|examples|bench|docs)/[\w./-]+)`", text)
    linked = [(ROOT / page).parent / link for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text)]
    assert [name for name in named if not (ROOT / name).exists()] == []
    folders = ("stream", "schemas", "agents", "tests", "bench")
    modules = {path.name for folder in folders for path in (ROOT / folder).rglob("*.py")}
    bare = {name.rpartition("/")[2] for name in re.findall(r"`(?:[a-z_]+/)*([a-z_]+\.py)`", text)}
    assert bare - modules - {"drawdown.py"} == set()
    assert [str(path.relative_to(ROOT)) for path in linked if not path.exists()] == []


def test_examples_in_docstrings_hold() -> None:
    for path in sorted((ROOT / "tickertape").glob("*.py")) + sorted((ROOT / "stream").rglob("*.py")):
        if ">>>" in path.read_text():
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = importlib.import_module(name if name.startswith("tickertape") else f"tickertape.{name}")
            assert doctest.testmod(module).failed == 0, name


# The lock.


def locked(lock: str) -> dict[str, str]:
    """Return the versions that a lock pins, by name."""
    text = "\n".join(line for line in (ROOT / lock).read_text().splitlines() if not line.startswith(" " * 4 + "#"))
    entries = [entry.split() for entry in text.replace("\\\n", " ").splitlines() if entry and not entry.startswith("#")]
    pins = [Requirement(" ".join(word for word in words if not word.startswith("--hash="))) for words in entries]
    # What is installed is what was looked at, whoever serves it.
    assert [words[0] for words in entries if not words[-1].startswith("--hash=sha256:")] == []
    assert [str(pin) for pin in pins if [spec.operator for spec in pin.specifier] != ["=="] or pin.url] == []
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}


def unmet(asked: list[str], lock: str) -> list[str]:
    versions = locked(lock)
    return [
        str(each)
        for each in map(Requirement, asked)
        if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"))
    ]


def test_lock_pins_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    assert unmet(asked, "requirements.lock") == []


def test_the_lock_of_the_compiler_pins_it_alone() -> None:
    (asked,) = re.findall(r"^ZIGLANG = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert unmet([asked], "requirements-compiler.lock") == []
    assert list(locked("requirements-compiler.lock")) == ["ziglang"]
    # It is for where there is no compiler, and large.
    assert "ziglang" not in locked("requirements.lock")


# What runs elsewhere: it can't be run here, so it is at least read.


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_what_github_reads_is_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())


def test_the_workflow_runs_what_everybody_runs_on_each_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    versions = job["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert project["project"]["requires-python"] == f">={versions[0]}"
    named = [line.rpartition(" ")[2] for line in project["project"]["classifiers"] if "Python :: 3." in line]
    assert named == versions
    assert any(step.get("run") == "bash .ci/run" for step in job["steps"])
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text())["jobs"].values()
        assert all(job["timeout-minutes"] <= 60 for job in jobs), path


def test_a_release_has_the_sdist_and_a_wheel_for_each_platform() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    jobs = yaml.safe_load((ROOT / ".github/workflows/wheels.yml").read_text())["jobs"]
    assert jobs["wheel"]["strategy"]["matrix"]["machine"] == ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15"]
    made = {
        name: ([step["run"] for step in job["steps"] if "run" in step][-1], job["steps"][-1]["with"]["path"])
        for name, job in jobs.items()
    }
    assert made == {
        "wheel": ("python -m cibuildwheel --output-dir dist", "dist/*.whl"),
        "sdist": ("python -m build --sdist", "dist/*.tar.gz"),
    }
    # One wheel a platform, by the oldest Python, and it is tried.
    config = project["tool"]["cibuildwheel"]
    assert config["build"] == f"cp{project['project']['requires-python'].removeprefix('>=').replace('.', '')}-*"
    assert (ROOT / config["test-command"].removeprefix("python {project}/")).is_file()


def test_what_setup_py_needs_is_in_the_image() -> None:
    copied = set((ROOT / "Dockerfile").read_text().split())
    there = set((ROOT / ".dockerignore").read_text().split())
    for name in ("setup.py", "requirements-compiler.lock", "requirements.lock", "pyproject.toml"):
        assert name in copied
        assert f"!{name}" in there


def test_pre_commit_does_what_lint_does() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].removeprefix(".venv/bin/").removeprefix("python -m ") for hook in repo["hooks"]]
    assert hooks == ["ruff check --fix", "ruff format", "mypy"]
