"""What a process keeps of the memory that it frees, and what it gives back."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is tuned")

# Of 64 MiB every hundredth KiB stays, so that no end of it is free.
SCRIPT = """
import psutil
from tickertape.stream.engine.worker import memory

def resident_mib():
    return psutil.Process().memory_info().rss // 2**20

memory.tune()
began = resident_mib()
parts = [bytearray(1000) for _ in range(65_536)]
block = bytearray(b"x") * (7 << 20)
del block
parts = parts[::100]
kept = resident_mib()
memory.give_back()
print(kept - began, resident_mib() - began)
"""


def test_what_is_freed_is_kept_until_it_is_given_back() -> None:
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    kept_mib, left_mib = map(int, said.split())
    assert 64 < kept_mib < 90
    assert left_mib < 20
