"""A book equals one that is kept in two plain dicts, over a million changes of levels."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feeds.books.market import change, price, quantity
from tickertape.stream.feeds.books.book import Book
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Level

RULE = BookRule(ways=("subscribe",), is_numbered=True)

Plain = tuple[dict[float, Level], dict[float, Level]]


def apply(plain: Plain, bids: list[Level], asks: list[Level]) -> None:
    for levels, changes in zip(plain, (bids, asks), strict=True):
        for level in changes:
            if float(level[1]):
                levels[float(level[0])] = level
            else:
                levels.pop(float(level[0]), None)


def best(plain: Plain, count: int) -> tuple[list[Level], list[Level]]:
    bids, asks = plain
    return [bids[at] for at in sorted(bids, reverse=True)[:count]], [asks[at] for at in sorted(asks)[:count]]


def follow(seed: int, changes: int, levels: int) -> None:
    """Compare after random numbers of changes. Some changes cross the book, and most are near the top."""
    some = random.Random(seed)
    middle = 500_000
    whole = [[(price(middle + sign * n), quantity(n)) for n in range(1, levels)] for sign in (-1, 1)]
    book, plain = Book(RULE, 10 * changes, 0.0), (dict[float, Level](), dict[float, Level]())
    book.take(change(*whole, snapshot=True, last=10), 0.0, 0)
    apply(plain, *whole)
    done, number = 0, 10
    compare_at = 0
    while done < changes:
        middle += some.choice((-3, -1, 0, 0, 1, 3))
        sides: tuple[list[Level], list[Level]] = ([], [])
        for _ in range(some.choice((1, 2, 3, 20))):
            side = some.randrange(2)
            at = middle + (1, -1)[side] * int(
                some.expovariate(0.05) if some.random() < 0.95 else -some.randrange(levels)
            )
            sides[side].append((price(at) + some.choice(("", "0")), quantity(some.choice((0, some.randrange(10**10))))))
            done += 1
        number += 1
        apply(plain, *sides)
        # The clock stands still, so the book may be crossed for ever.
        assert book.take(change(*sides, last=number), 0.0, 0)
        if done >= compare_at:
            compare_at = done + some.randrange(changes // 50)
            count = max(map(len, plain))
            assert book.depth(count) == best(plain, count)
            top = best(plain, 1)
            is_crossed = bool(top[0] and top[1]) and float(top[0][0][0]) >= float(top[1][0][0])
            assert book.is_crossed is is_crossed
            assert book.best() == (None if is_crossed else (top[0][0], top[1][0]))
    count = max(map(len, plain))
    assert book.depth(count) == best(plain, count)
    assert count > 100


def test_a_million_changes() -> None:
    follow(7, 1_000_000, 1000)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(200, 2000), st.integers(101, 500))
def test_any_changes(seed: int, changes: int, levels: int) -> None:
    follow(seed, changes, levels)
