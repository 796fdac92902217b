"""Plants bugs in the product, one at a time in a copy of it, and has the nearest tests find each.

Run: ``make mutants``, or ``python -m tests.mutants --area commits --only flush``. A bug is some text of a file and what
stands in its place; the areas are the files of TOML beside this one.
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
# The tests of a bug take seconds; one that hangs them is caught too.
MOST_SECONDS = 180


class Bug(NamedTuple):
    """A bug, and the tests that are to find it.

    Attributes
    ----------
    area, what
        Where it is at home, and what goes wrong.
    file, old, new
        The text of a file, which is there once, and what it becomes.
    tests
        Files of tests, the nearest first.
    """

    area: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class Found(NamedTuple):
    """What became of a bug: the test that caught it, or why none did."""

    bug: Bug
    caught: bool
    by: str
    seconds: float


def bugs() -> Iterator[Bug]:
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["bug"]:
            yield Bug(path.stem, entry["what"], entry["file"], entry["old"], entry["new"], tuple(entry["tests"]))


def copy_to(folder: Path) -> Path:
    """Copy what is tracked, as it is now; the environment is ours."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def run(folder: Path, tests: tuple[str, ...], most_seconds: float = MOST_SECONDS) -> tuple[int, str]:
    """Run tests in a copy; return the exit status, and the first that failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=most_seconds
        )
    except subprocess.TimeoutExpired:
        return 1, f"no end in {most_seconds:g} s"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return done.returncode, failed[1] if failed else done.stdout.strip().rpartition("\n")[2]


def plant(folder: Path, bug: Bug) -> Found:
    path, began = folder / bug.file, time.monotonic()
    text = path.read_text()
    path.write_text(text.replace(bug.old, bug.new))
    try:
        code, by = run(folder, bug.tests)
    finally:
        path.write_text(text)
    return Found(bug, code == 1, by, time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--area", help="only those of one area")
    parser.add_argument("--only", default="", help="only those with this in what goes wrong")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once")
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

        # Tests that fail without a bug would catch any.
        without = dict.fromkeys(file for bug in chosen for file in bug.tests)
        code, failed = all_pass(tuple(without))
        if code:
            print(f"without any bug: {failed}")
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
