"""Compiles the hot path with the system's compiler, or with the one that the package ziglang brings.

Run: python -m tickertape.stream.compiled.build [--out FOLDER] [--target TRIPLE] [--sanitize]

The library needs no header of Python's and no library but C's, so one build serves each version of Python.
"""

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

#: Environment variables, read when the library is first used: turn it off; load this one instead. They aren't settings,
#: because results are the same with and without.
OFF, INSTEAD = "TICKERTAPE_NUMPY_ONLY", "TICKERTAPE_COMPILED"

FOLDER = Path(__file__).parent
SOURCES = sorted(FOLDER.glob("*.c"))
# Fused operations round once where two would, so they are off.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
SANITIZERS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


class BuildError(Exception):
    """The hot path can't be compiled here. The text says why, in one line."""


def digest() -> str:
    """Return a digest of the sources. The library's name has it, so one of other sources is never loaded."""
    files = [*SOURCES, *sorted(FOLDER.glob("*.h"))]
    return sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def library(*, sanitize: bool = False) -> Path:
    """Return where the library of these sources is, once it is built."""
    return FOLDER / f"hot{'-sanitized' if sanitize else ''}-{digest()}.so"


def compiler(target: str | None = None) -> list[str]:
    """Return the command of a C compiler.

    Raises
    ------
    BuildError
        There is none.
    """
    zig = [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else None
    if target is not None:
        if zig is None:
            raise BuildError("only ziglang compiles for another machine: pip install ziglang")
        return [*zig, "-target", target]
    if named := os.environ.get("CC"):
        return shlex.split(named)
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if found is not None:
        return [found]
    if zig is None:
        raise BuildError("there is no C compiler; install one, or the package ziglang, which brings one")
    return zig


def build(to: Path, *, target: str | None = None, sanitize: bool = False) -> None:
    """Compile the library.

    Raises
    ------
    BuildError
        There is no compiler, or it fails.
    """
    unfinished = to.with_name(f"{to.name}.{os.getpid()}")
    flags = [*FLAGS, *(SANITIZERS if sanitize else [])]
    command = [*compiler(target), *flags, *map(str, SOURCES), "-o", str(unfinished)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise BuildError(f"{command[0]} can't be run: {error.strerror}") from error
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise BuildError(f"{command[0]} fails: {next((line for line in lines if 'error' in line), lines[0])}")
    # A process that has the old one loaded keeps it, and one that starts now never sees half of the new one.
    unfinished.replace(to)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tickertape.stream.compiled.build", description="Compile the hot path.")
    parser.add_argument("--out", type=Path, help="the library's file; by default, where it is loaded from")
    parser.add_argument("--target", help="compile for another machine with ziglang, such as aarch64-linux-gnu")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan, for `make fuzz`")
    options = parser.parse_args()
    to = options.out or library(sanitize=options.sanitize)
    try:
        build(to, target=options.target, sanitize=options.sanitize)
    except BuildError as error:
        raise SystemExit(f"the compiled hot path is not built, so Python and NumPy do its work: {error}") from error
    if options.out is None and not options.sanitize:
        for old in FOLDER.glob("hot-*.so"):
            if old != to:
                old.unlink()


if __name__ == "__main__":
    main()
