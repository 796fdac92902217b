"""Runs this command again with a library that has AddressSanitizer and UBSan."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from tickertape.stream.compiled import build

# GCC's, and Clang's.
_RUNTIMES = ("libasan.so", f"libclang_rt.asan-{platform.machine()}.so", "libclang_rt.asan.so")


def runtime() -> Path:
    """Return the sanitizers' runtime of the compiler that builds the library.

    Raises
    ------
    SystemExit
        There is no compiler, or it brings none.
    """
    try:
        command = build.compiler()
        asked = [[*command, f"-print-file-name={name}"] for name in _RUNTIMES]
        answers = [subprocess.run(each, check=False, capture_output=True, text=True).stdout for each in asked]
    except (build.BuildError, OSError) as error:
        raise SystemExit(f"make fuzz needs a C compiler: {error}") from error
    for answer in answers:
        found = Path(answer.strip())
        if found.is_absolute() and found.exists():
            return found.resolve()
    raise SystemExit(
        f"make fuzz needs the sanitizers of {command[0]}, which are missing: on Debian and Ubuntu, apt-get install gcc"
    )


def run_again() -> NoReturn:
    """Build the library with sanitizers, and begin this command anew with it."""
    preloaded, to = runtime(), build.library(sanitize=True)
    if not to.exists():
        try:
            build.build(to, sanitize=True)
        except build.BuildError as error:
            raise SystemExit(f"make fuzz can't build the hot path with sanitizers: {error}") from error
    environment = os.environ | {
        build.OFF: "0",
        build.INSTEAD: str(to),
        # Python isn't linked with the runtime, so it has to be there before.
        "LD_PRELOAD": str(preloaded),
        # Python itself leaves memory behind at its end.
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=16",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        # Python's own allocator would hide where each object ends.
        "PYTHONMALLOC": "malloc",
    }
    arguments = [each for each in sys.argv[1:] if each != "--sanitized"]
    os.execve(sys.executable, [sys.executable, "-m", "tests.compiled.fuzz", *arguments], environment)
