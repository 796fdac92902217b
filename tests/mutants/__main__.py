"""Plants bugs in a copy of the product, one at a time, and checks that the nearest tests find each.

Run: ``make mutants``, or ``python -m tests.mutants --area commits --only delivered``. A bug replaces some text of a
file. Each TOML file beside this one is an area.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# The tests of a bug take seconds. A bug that makes them hang counts as caught.
MOST_SECONDS = 180
# Builds the compiled hot path of a copy, beside those of other sources.
BUILD = "from tickertape.stream.compiled import build; build.build(build.library())"


class Bug(NamedTuple):
    """A bug, and the tests that have to find it.

    Attributes
    ----------
    area
        The area, which is the name of the TOML file.
    what
        One sentence that says what the bug does.
    file, old, new
        The file, a text that occurs in it once, and its replacement.
    tests
        The test files to run, the nearest first.
    """

    area: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class Found(NamedTuple):
    """The outcome for a bug: the first test that failed, or the last line of the tests' output."""

    bug: Bug
    caught: bool
    by: str
    seconds: float


def bugs() -> Iterator[Bug]:
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["bug"]:
            yield Bug(path.stem, entry["what"], entry["file"], entry["old"], entry["new"], tuple(entry["tests"]))


def copy_to(folder: Path) -> Path:
    """Copy the tracked files with their current contents, and build what is compiled.

    The tests run in this process's environment.
    """
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    compile_in(folder)
    return folder


def compile_in(folder: Path) -> None:
    """Build the compiled hot path of a copy. Where that fails its tests are skipped, and a bug in it isn't caught."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", BUILD], cwd=folder, env=environment, check=False, capture_output=True)


def run(folder: Path, tests: tuple[str, ...], most_seconds: float = MOST_SECONDS) -> tuple[int, str]:
    """Run tests in a copy; return the exit status, and the first test that failed."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=any-failure"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=most_seconds
        )
    except subprocess.TimeoutExpired:
        return 1, f"not finished after {most_seconds:g} s"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return done.returncode, failed[1] if failed else done.stdout.strip().rpartition("\n")[2]


def plant(folder: Path, bug: Bug) -> Found:
    path, began = folder / bug.file, time.monotonic()
    text = path.read_text()
    path.write_text(text.replace(bug.old, bug.new))
    if path.suffix == ".c":
        compile_in(folder)
    try:
        code, by = run(folder, bug.tests)
    finally:
        path.write_text(text)
    return Found(bug, code == 1, by, time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--area", help="only the bugs of one area")
    parser.add_argument("--only", default="", help="only the bugs whose sentence contains this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many to test at once")
    asked = parser.parse_args()
    chosen = [bug for bug in bugs() if asked.area in (None, bug.area) and asked.only in bug.what]
    free: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="tickertape-mutants-") as made, ThreadPoolExecutor(asked.jobs) as pool:
        for number in range(asked.jobs):
            free.put(copy_to(Path(made) / str(number)))

        def one(bug: Bug) -> Found:
            folder = free.get()
            try:
                return plant(folder, bug)
            finally:
                free.put(folder)

        def all_pass(files: tuple[str, ...]) -> tuple[int, str]:
            folder = free.get()
            try:
                return run(folder, files, most_seconds=3600)
            finally:
                free.put(folder)

        # Tests that fail without a bug would seem to catch every bug.
        without = dict.fromkeys(file for bug in chosen for file in bug.tests)
        code, failed = all_pass(tuple(without))
        if code:
            print(f"tests fail without any bug: {failed}")
            return 1
        survivors = 0
        print("| area | bug | caught by | s |\n| --- | --- | --- | ---: |")
        for found in pool.map(one, chosen):
            survivors += not found.caught
            by = f"`{found.by}`" if found.caught else f"**nothing** ({found.by})"
            print(f"| {found.bug.area} | {found.bug.what} | {by} | {found.seconds:.0f} |", flush=True)
        print(f"\n{len(chosen)} bugs, {len(chosen) - survivors} caught")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
