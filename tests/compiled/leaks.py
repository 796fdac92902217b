"""Makes and frees plans and names many times: memory must not grow with how many."""

import gc
from random import Random

import psutil

from tests.compiled.both import block, decoders
from tests.compiled.generated import generated
from tickertape.schemas.trade import Trade
from tickertape.stream.compiled.library import library

# A plan with its choices takes 20 KiB, and names take 100 KiB: a leak of the smaller is 80 MiB.
MADE = 4_000
# The sanitizers keep some of what is freed, to see who still uses it.
MOST_MIB = 60
_NAMES = [b"name-%019d" % n + bytes(8) for n in range(600)]


def _make_and_free(seed: int) -> None:
    compiled = library()
    names, plan = compiled.tt_names_new(seed), compiled.tt_plan_new()
    for name in _NAMES:
        compiled.tt_names_add(names, name, len(name) - 8)
    compiled.tt_names_clear(names)
    compiled.tt_plan_free(plan)
    compiled.tt_names_free(names)


def _decode() -> None:
    for decoder in decoders(Trade):
        decoder.decode(block(generated(Trade, Random(1), 50)))


def grown_mib() -> float:
    """Return how much more memory this process has after it made and freed plans and names."""
    for _ in range(50):
        _decode()
        _make_and_free(1)
    gc.collect()
    before = int(psutil.Process().memory_info().rss)
    for seed in range(MADE):
        _make_and_free(seed)
        if seed % 40 == 0:
            _decode()
    gc.collect()
    return (int(psutil.Process().memory_info().rss) - before) / (1 << 20)
