"""Count the instructions that the hot path takes per event, and compare them with the recorded budget.

Run: python -m bench.smoke [--record]

Seconds vary too much to fail a build by. Instructions, as valgrind counts them, are the same each time. They depend on
the version of Python, so each has a budget of its own in `budget.json`. NumPy uses only the instructions that every
machine has, so that the counts don't depend on the machine.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from numpy._core._multiarray_umath import __cpu_dispatch__  # type: ignore[import-not-found]  # NumPy has no public name for it

from bench.hot_path import INPUTS
from tickertape.stream.compiled.build import OFF
from tickertape.stream.compiled.library import why_numpy

BUDGET = Path(__file__).with_name("budget.json")
STAGES = tuple(INPUTS)
#: The environment of each path.
PATHS = {"compiled": {OFF: "0"}, "numpy": {OFF: "1"}}
# All blocks less a fifth of them: what both runs share is the start of Python, and the making of the input.
SHARE = 5
#: Counts above this multiple of the budget fail.
TOLERANCE = 1.05


def instructions(path: str, stage: str, count: int) -> int:
    """Return the instructions of a run of one of the two hot paths."""
    command = [
        *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
        *(sys.executable, "-m", "bench.hot_path", stage, str(count)),
    ]
    # With a fixed seed, the order of sets and the collisions of dicts are the same each time.
    environment = os.environ | {"PYTHONHASHSEED": "0", "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__)}
    # NumPy's threads for matrices, which we have none of, count instructions while they wait.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    environment |= PATHS[path]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"the hot path did not run under valgrind:\n{done.stderr[-2000:]}")
    return int(found[1])


def measure() -> dict[str, int]:
    """Return the instructions per event, by path and stage."""
    runs = [
        (path, stage, count)
        for path in PATHS
        for stage, of in INPUTS.items()
        for count in (of.blocks // SHARE, of.blocks)
    ]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        counted = dict(zip(runs, pool.map(lambda run: instructions(*run), runs), strict=True))

    def per_event(path: str, stage: str) -> int:
        _, block, blocks = INPUTS[stage]
        fewer = blocks // SHARE
        return round((counted[path, stage, blocks] - counted[path, stage, fewer]) / (blocks - fewer) / block)

    return {f"{stage}, {path}": per_event(path, stage) for path in PATHS for stage in STAGES}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.smoke", description="Count instructions per event of the hot path.")
    parser.add_argument("--record", action="store_true", help="write the counts as the budget of this Python")
    record = parser.parse_args().record
    if not shutil.which("valgrind"):
        raise SystemExit("bench-smoke counts instructions with valgrind: install it (apt install valgrind)")
    if why := why_numpy():
        raise SystemExit(f"bench-smoke counts both paths, and the compiled one is missing here: {why}")
    budgets: dict[str, dict[str, int]] = msgspec.json.decode(BUDGET.read_bytes()) if BUDGET.exists() else {}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    counted = measure()
    if record:
        budgets[python] = counted
        BUDGET.write_bytes(msgspec.json.format(msgspec.json.encode(budgets)) + b"\n")
    budget = budgets.get(python)
    failed = False
    for stage, count in counted.items():
        if budget is None:
            print(f"{stage}: {count:,} instructions per event; there is no budget for Python {python}")
            continue
        if stage not in budget:
            print(f"{stage}: {count:,} instructions per event; it has no budget")
            continue
        over = count > TOLERANCE * budget[stage]
        failed |= over
        print(f"{stage}: {count:,} instructions per event, {count / budget[stage]:.3f} of the budget")
    if failed:
        raise SystemExit(
            f"the hot path takes over {TOLERANCE - 1:.0%} more than its budget: make it faster, or record a new budget "
            "with `make bench-smoke ARGS=--record`, and say in the commit what it buys"
        )


if __name__ == "__main__":
    main()
