"""Runs a command with a library that has AddressSanitizer and UBSan.

Run: ``make fuzz``, or ``python -m tests.compiled.sanitized``, which runs the tests of the compiled hot path so.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from tickertape.stream.compiled import build

# GCC's, and Clang's.
_RUNTIMES = ("libasan.so", f"libclang_rt.asan-{platform.machine()}.so", "libclang_rt.asan.so")

# Those that call each function of the library. What builds it, or measures memory, isn't for this.
_TESTS = [
    *(f"tests/compiled/test_{what}.py" for what in ("decimal", "fold", "names", "rows", "scan", "split")),
    "tests/engine/core/test_table.py",
    "tests/kafka/clients/test_packed_batch.py",
]


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


def run(*arguments: str) -> NoReturn:
    """Build the library with sanitizers, and go on as Python with these arguments and that library."""
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
    os.execve(sys.executable, [sys.executable, *arguments], environment)


if __name__ == "__main__":
    run("-m", "pytest", "-q", *_TESTS, *sys.argv[1:])
