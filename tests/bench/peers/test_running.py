"""A peer's time and CPU time, between its marks."""

import sys

import pytest

from bench.peers.running import PeerError, run

#: Burns CPU before its first mark, in a child that ends, and in itself, then sleeps.
WORK = """
import subprocess, sys, time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
burn(0.5)
print("something else", flush=True)
print(f"@begin {time.time()}", flush=True)
began = time.time()
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.6: pass"])
burn(0.3)
time.sleep(1.0)
print(f"@end {time.time()}", flush=True)
burn(0.5)
sys.stdin.read()
"""


def test_cpu_time_is_that_of_all_processes_between_the_marks() -> None:
    taken = run([sys.executable, "-c", WORK], {})
    assert taken.cpu_seconds == pytest.approx(0.9, abs=0.15)
    # It may wait for the core.
    assert taken.wall_seconds > 1.85


def test_a_peer_that_ends_early_has_failed() -> None:
    with pytest.raises(PeerError, match=r"it ended with 3: .*the reason"):
        run(
            [sys.executable, "-c", "import sys; print('@begin 1'); print('the reason', file=sys.stderr); sys.exit(3)"],
            {},
        )


def test_variables_reach_the_program() -> None:
    program = "import os, time; assert os.environ['JARS'] == 'a:b'; print('@begin 1'); print('@end 3', flush=True)"
    assert run([sys.executable, "-c", program + "; input()"], {"JARS": "a:b"}).wall_seconds == 2.0
