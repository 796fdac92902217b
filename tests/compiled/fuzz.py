"""Changes records, batches and bundles at random, and compares what is made of them with the library and without.

Run: ``make fuzz``, or ``python -m tests.compiled.fuzz --records 1000000 --batches 10000 --bundles 1000 --seed 1``. A
difference is printed with the smallest input found, and the status is then 1.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from random import Random
from typing import NamedTuple

import numpy as np

from tests.compiled import batches, bundles, comparing, leaks, sanitized
from tests.compiled.comparing import Counts, Pair
from tests.compiled.generated import RECORDS, dictionary, generated
from tests.compiled.mutating import Mutator
from tickertape.stream.compiled.library import library

# A process gets so much work at a time.
PIECE_RECORDS, PIECE_BATCHES, PIECE_BUNDLES = 98_304, 2_000, 2_000
BLOCK, ROUND_BLOCKS, BASES = 4096, 8, 512
# Of each round one part of a block is compared as decoded, too: a bad name in it costs a hundred times as much.
DECODED = 1024
SMALL_BLOCKS = (1, 1, 2, 3, 5, 30)
BAD_NAMES = 0.1
# So many records of a round are also cut short at each place.
CUT_SHORT = 16
# With fewer of the records scanned, a run proves nothing.
LEAST_SCANNED, LEAST_SPLIT, LEAST_UNBUNDLED = 0.2, 0.2, 0.2


class Piece(NamedTuple):
    """Some records, batches or bundles, made from a seed."""

    seed: str
    records: int = 0
    batches: int = 0
    bundles: int = 0

    @staticmethod
    def of(seed: str) -> "Piece":
        if " bundles " in seed:
            return Piece(seed, bundles=PIECE_BUNDLES)
        return Piece(seed, PIECE_RECORDS) if " records " in seed else Piece(seed, batches=PIECE_BATCHES)


def pieces(records: int, n_batches: int, n_bundles: int, seed: int) -> Iterator[Piece]:
    for number, first in enumerate(range(0, records, PIECE_RECORDS)):
        yield Piece(f"{seed} records {number}", min(PIECE_RECORDS, records - first))
    for number, first in enumerate(range(0, n_batches, PIECE_BATCHES)):
        yield Piece(f"{seed} batches {number}", batches=min(PIECE_BATCHES, n_batches - first))
    for number, first in enumerate(range(0, n_bundles, PIECE_BUNDLES)):
        yield Piece(f"{seed} bundles {number}", bundles=min(PIECE_BUNDLES, n_bundles - first))


def compared(piece: Piece) -> tuple[Counts, str | None]:
    """Return the counts of a piece, and what differs."""
    random = Random(piece.seed)
    if piece.batches:
        return _compared_batches(random, piece.batches)
    if piece.bundles:
        return _compared_bundles(random, piece.bundles)
    return _compared_records(random, piece.records)


def _compared_batches(random: Random, n: int) -> tuple[Counts, str | None]:
    counts = Counts()
    for _ in range(n):
        case = batches.mutated(random)
        counts.batches += 1
        counts.split += batches.was_split(case)
        if batches.differ(case) is not None:
            return counts, batches.told(case)
    return counts, None


def _compared_bundles(random: Random, n: int) -> tuple[Counts, str | None]:
    counts = Counts()
    while counts.bundles < n:
        case = bundles.mutated(random)
        if bundles.differ(case) is not None:
            return counts, bundles.told(case)
        counts.bundles += sum(map(bool, case.headers))
        counts.unbundled += bundles.read_by_library(case)
    return counts, None


def _compared_records(random: Random, n: int) -> tuple[Counts, str | None]:
    pair = Pair(RECORDS[random.randrange(len(RECORDS))])
    while pair.counts.records < n:
        pair.prime()
        words = dictionary(pair.record, random, bad_names=random.random() < BAD_NAMES)
        base = generated(pair.record, random, BASES)
        mutator = Mutator(base, words, np.random.default_rng(random.randrange(1 << 32)))
        for _ in range(CUT_SHORT):
            cut = mutator.cut_short()
            if (found := pair.scans_differ(cut)) is not None:
                return pair.counts, comparing.told(pair.record, [value or b"" for value in cut], found)
        for number, size in enumerate([min(BLOCK, n)] * ROUND_BLOCKS + list(SMALL_BLOCKS)):
            values = mutator.mutated(size)
            if (found := pair.scans_differ(values)) is not None:
                return pair.counts, comparing.told(pair.record, values, found)
            some = values[:DECODED]
            if (number == 0 or size < BLOCK) and (found := pair.blocks_differ(some)) is not None:
                return pair.counts, comparing.told(pair.record, some, found)
    return pair.counts, None


def run(records: int, n_batches: int, n_bundles: int, seed: int, jobs: int) -> tuple[Counts, str | None]:
    """Compare in several processes; return the counts, and what differs."""
    total = Counts()
    # A process that is forked would share the library's state.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting: dict[Future[tuple[Counts, str | None]], Piece] = {
            pool.submit(compared, piece): piece for piece in pieces(records, n_batches, n_bundles, seed)
        }
        try:
            for done in as_completed(waiting):
                counts, found = done.result()
                total += counts
                if found is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                    return total, f"{found}\nagain: python -m tests.compiled.fuzz --piece {waiting[done].seed!r}"
        except BrokenProcessPool:
            # What it was about is in the report that it wrote.
            unfinished = [piece.seed for each, piece in waiting.items() if not each.done() or each.exception()]
            return total, f"a process ended; it was at one of these: {', '.join(map(repr, unfinished[: 2 * jobs]))}"
    return total, None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compiled.fuzz")
    parser.add_argument("--records", type=int, default=9_800_000, help="how many mutated records")
    parser.add_argument("--batches", type=int, default=200_000, help="how many mutated record batches")
    parser.add_argument("--bundles", type=int, default=20_000, help="how many mutated bundles")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument("--piece", help="only this piece of a run, as its report names it: '1 records 7'")
    parser.add_argument("--sanitized", action="store_true", help="build with sanitizers, and run with these")
    asked = parser.parse_args()
    if asked.sanitized:
        sanitized.run("-m", "tests.compiled.fuzz", *(each for each in sys.argv[1:] if each != "--sanitized"))
    if library() is None:
        print("the compiled hot path isn't built: python -m tickertape.stream.compiled.build", file=sys.stderr)
        return 2
    grown_mib = leaks.grown_mib()
    print(f"{leaks.MADE} plans and as many sets of names, made and freed: {grown_mib:.0f} MiB more")
    if grown_mib > leaks.MOST_MIB:
        print(f"they leak: more than {leaks.MOST_MIB} MiB", file=sys.stderr)
        return 1
    began = time.monotonic()
    if asked.piece is not None:
        counts, found = compared(Piece.of(asked.piece))
    else:
        counts, found = run(asked.records, asked.batches, asked.bundles, asked.seed, asked.jobs)
    seconds = time.monotonic() - began
    print(
        f"{counts.records} records, {counts.scanned / max(counts.records, 1):.0%} of them scanned; "
        f"{counts.blocks} whole blocks compared, {counts.merged / max(counts.blocks, 1):.0%} of them scanned in part; "
        f"{counts.batches} record batches, {counts.split / max(counts.batches, 1):.0%} of them split; "
        f"{counts.bundles} bundles, {counts.unbundled / max(counts.bundles, 1):.0%} of them read by the library; "
        f"{seconds:.0f} s, {(counts.records + counts.batches + counts.bundles) / seconds:.0f} a second"
    )
    if found is not None:
        print(found, file=sys.stderr)
        return 1
    shares = (
        (counts.scanned, LEAST_SCANNED * counts.records),
        (counts.split, LEAST_SPLIT * counts.batches),
        (counts.unbundled, LEAST_UNBUNDLED * counts.bundles),
    )
    if any(found < least for found, least in shares):
        print("too few were read by the library for this to prove anything", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
