"""Compiles the hot path with the system's compiler, or with the one that the package ziglang brings.

Run: python -m tickertape.stream.compiled.build [--out FILE] [--target TRIPLE] [--sanitize] [--which]

The library needs no header of Python's and no library but C's, so one build serves each version of Python. This file
needs Python alone, because setup.py and the Makefile run it where nothing of ours is installed.
"""

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

#: Environment variables, read when the library is first used: turn it off; load this one instead. They aren't settings,
#: because results are the same with and without.
OFF, INSTEAD = "TICKERTAPE_NUMPY_ONLY", "TICKERTAPE_COMPILED"

FOLDER = Path(__file__).parent
SOURCES = sorted((FOLDER / "source").glob("*.c"))
HEADERS = sorted((FOLDER / "source").glob("*.h"))
# Fused operations round once where two would, so they are off.
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared"]
SANITIZERS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# A warning of a compiler to come mustn't fail a user's build, so that they are errors is for our tests.
STRICT = ["-Wall", "-Wextra", "-Werror"]


class BuildError(Exception):
    """The hot path can't be compiled here. The text says why, in one line."""


def digest() -> str:
    """Return a digest of the sources and flags. The library's name has it, so one of other sources is never loaded."""
    parts = [*(path.read_bytes() for path in (*SOURCES, *HEADERS)), " ".join(FLAGS).encode()]
    return sha256(b"\0".join(parts)).hexdigest()[:16]


def library(*, sanitize: bool = False) -> Path:
    """Return where the library of these sources is, once it is built."""
    return FOLDER / f"hot{'-sanitized' if sanitize else ''}-{digest()}.so"


def compiler(target: str | None = None) -> list[str]:
    """Return the command of a C compiler: what CC says, cc, gcc, clang, or ziglang's.

    Parameters
    ----------
    target
        A machine, such as ``aarch64-linux-gnu``, if the code is for another one than this.

    Raises
    ------
    BuildError
        There is none.
    """
    zig = None
    if importlib.util.find_spec("ziglang"):
        # Without a processor's name it would use all that this one has, and an older one couldn't run the library.
        zig = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline", "-g0"]
    if target is not None:
        if zig is None:
            raise BuildError("only ziglang compiles for another machine: pip install ziglang")
        return [*zig, "-target", target]
    if named := shlex.split(os.environ.get("CC", "")):
        return named
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if found is not None:
        return [found]
    if zig is None:
        raise BuildError("there is no C compiler; install one, such as gcc with libc6-dev, or the package ziglang")
    return zig


def build(to: Path, *, target: str | None = None, sanitize: bool = False, strict: bool = False) -> None:
    """Compile the library.

    Parameters
    ----------
    to
        The library's file. Its folder is made if need be.
    target
        Another machine to compile for, as `compiler` takes it.
    sanitize
        Whether the library checks itself, with AddressSanitizer and UBSan.
    strict
        Whether a warning is an error.

    Raises
    ------
    BuildError
        There is no compiler, or it fails.
    """
    unfinished = to.with_name(f"{to.name}.{os.getpid()}")
    flags = [*FLAGS, *(SANITIZERS if sanitize else []), *(STRICT if strict else [])]
    command = [*compiler(target), *flags, *map(str, SOURCES), "-o", str(unfinished)]
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        # In English, for what the error is found by.
        plain = os.environ | {"LC_ALL": "C"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", env=plain)
        if done.returncode:
            raise BuildError(f"{shlex.join(command[: -len(flags) - len(SOURCES) - 2])} fails: {_why(done)}")
        # A process that has the old one loaded keeps it, and one that starts now never sees half of the new one.
        unfinished.replace(to)
    except OSError as error:
        raise BuildError(f"{error.filename} can't be used: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _why(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    if not lines:
        return f"it ended with status {done.returncode}"
    return next((line for line in lines if "error" in line), lines[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="tickertape.stream.compiled.build", description="Compile the hot path.")
    parser.add_argument("--out", type=Path, help="the library's file; by default, where it is loaded from")
    parser.add_argument("--target", help="compile for another machine with ziglang, such as aarch64-linux-gnu")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan, for `make fuzz`")
    parser.add_argument("--which", action="store_true", help="only print the compiler's command")
    options = parser.parse_args()
    to = options.out or library(sanitize=options.sanitize)
    try:
        if options.which:
            print(shlex.join(compiler(options.target)))
            return
        build(to, target=options.target, sanitize=options.sanitize)
    except BuildError as error:
        instead = "what was compiled of the same sources stays" if to.exists() else "NumPy does its work"
        raise SystemExit(f"the hot path is not compiled, so {instead}: {error}; then run `make compiled`") from None
    if options.out is None and not options.sanitize:
        for old in FOLDER.glob("hot-*.so"):
            if old not in (to, library(sanitize=True)):
                old.unlink()


if __name__ == "__main__":
    main()
