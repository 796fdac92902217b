"""Cutting a block keeps every offset, and headers with their records."""

from tests.engine.blocks import Log
from tickertape.stream.engine.core.block import Block


def offsets(block: Block) -> tuple[int, list[int], int]:
    return block.start, block.offsets.tolist(), block.end


def test_a_cut_takes_records_and_the_offsets_without_one() -> None:
    block = Log().tick(0).hole(2).tick(1).hole(3).block()  # records at 0 and 3, the log ends at 7
    assert offsets(block) == (0, [0, 3], 7)
    assert block.empty == 5
    assert offsets(block.before(2)) == (0, [0], 2)
    assert offsets(block.since(2)) == (2, [3], 7)
    assert offsets(block.since(5)) == (5, [], 7)
    assert block.since(5).empty == 2


def test_a_cut_outside_is_all_or_nothing() -> None:
    block = Log().tick(0).tick(1).tick(2).block(1, 3)
    assert offsets(block.since(0)) == (1, [1, 2], 3)
    assert offsets(block.before(9)) == (1, [1, 2], 3)
    assert offsets(block.before(0)) == (1, [], 1)
    assert offsets(block.since(9)) == (3, [], 3)


def test_headers_move_with_their_records() -> None:
    block = Log().tick(0).raw(None, (("a", b"1"),)).tick(1).raw(None).block()
    assert block.headers == {1: (("a", b"1"),), 3: ()}
    assert block.since(1).headers == {0: (("a", b"1"),), 2: ()}
    assert block.since(2).headers == {1: ()}
    assert block.before(2).headers == {1: (("a", b"1"),)}


def test_blocks_that_follow_one_another_are_one() -> None:
    log = Log().tick(0).raw(None, (("a", b"1"),)).hole(2).tick(1).raw(None).tick(2).hole()
    whole = log.block()
    for first in range(log.end + 1):
        for second in range(first, log.end + 1):
            joined = Block.joined([log.block(0, first), log.block(first, second), log.block(second, log.end)])
            assert offsets(joined) == offsets(whole)
            assert joined.values == whole.values
            assert joined.appended_ms.tolist() == whole.appended_ms.tolist()
            assert joined.headers == whole.headers


def test_one_block_is_itself() -> None:
    block = Log().tick(0).block()
    assert Block.joined([block]) is block
