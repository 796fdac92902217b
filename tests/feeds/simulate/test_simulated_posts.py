"""The simulated crowd: the same for a seed, talking in bursts, which prices follow."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tickertape.schemas.post import Post
from tickertape.stream.feeds.simulate.simulated_market import TICK_MS, Floats, Market
from tickertape.stream.feeds.simulate.simulated_posts import Crowd

T = 1_700_000_000_000
SECONDS = 120


def run(crowd: Crowd, ticks: int) -> tuple[list[Post], Floats]:
    """Return the posts of so many ticks, and what they added to returns, shape (ticks, symbols)."""
    posts, pushes = [], []
    for _ in range(ticks):
        talk, push = crowd.step()
        posts += crowd.posts(talk, talk.offset_ms + T)
        pushes.append(push)
    return posts, np.array(pushes)


@pytest.fixture(scope="module")
def minutes() -> tuple[list[Post], Floats]:
    return run(Crowd(Market(10).symbols, 20.0, seed=3), SECONDS * 1000 // TICK_MS)


def test_the_same_seed_is_the_same_talk_and_another_is_another() -> None:
    symbols = Market(10).symbols
    first, again, other = (run(Crowd(symbols, 50.0, seed=seed), 500)[0] for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert len(first) > 200


def test_ids_rise_by_one_and_times_lie_within_their_tick(minutes: tuple[list[Post], Floats]) -> None:
    posts, _ = minutes
    assert [post.id for post in posts] == list(range(1, len(posts) + 1))
    assert all(a.time_ms // TICK_MS <= b.time_ms // TICK_MS for a, b in pairwise(posts))
    assert (posts[0].time_ms - T, posts[-1].time_ms - T) == pytest.approx((0, SECONDS * 1000), abs=1500)


def test_bursts_are_of_one_symbol_in_one_mood_and_many_of_them_copies(minutes: tuple[list[Post], Floats]) -> None:
    posts, _ = minutes
    quiet = 20.0 * SECONDS
    assert len(posts) > 1.5 * quiet
    # The second in which most was said of one symbol.
    (symbol, second), most = Counter((post.symbols[0], post.time_ms // 1000) for post in posts).most_common(1)[0]
    burst = [post for post in posts if post.symbols[0] == symbol and post.time_ms // 1000 == second]
    assert most > 40
    scores = [post.sentiment for post in burst if post.sentiment]
    assert abs(np.mean(np.sign(scores))) > 0.5
    copies = [post for post in burst if post.copy_of is not None]
    assert 0.2 < len(copies) / len(burst) < 0.6
    by_id = {post.id: post for post in posts}
    assert all(by_id[post.copy_of].symbols == post.symbols for post in copies if post.copy_of is not None)


def test_prices_follow_what_is_said() -> None:
    """Two markets of one seed, with the crowd and without, part as the talk has it."""
    market, same = Market(10, 500.0, seed=1), Market(10, 500.0, seed=1)
    crowd = Crowd(market.symbols, 20.0, seed=3)
    last, without, said = {}, {}, Counter[int]()
    for _ in range(SECONDS * 1000 // TICK_MS):
        talk, push = crowd.step()
        np.add.at(moods := np.zeros(10, np.int64), talk.symbol, talk.mood)
        said.update({symbol: int(mood) for symbol, mood in enumerate(moods) if mood})
        for prices, (tick, _) in ((last, market.step(push)), (without, same.step())):
            prices |= dict(zip(tick.symbol.tolist(), tick.price.tolist(), strict=True))
    moved = {symbol: last[symbol] / without[symbol] - 1 for symbol in range(10)}
    loudest = [symbol for symbol, _ in sorted(said.items(), key=lambda item: -abs(item[1]))[:3]]
    assert all(np.sign(moved[symbol]) == np.sign(said[symbol]) for symbol in loudest)
    assert all(abs(moved[symbol]) > 0.001 for symbol in loudest)


def test_without_talk_nothing_is_pushed() -> None:
    _, push = Crowd(["A-USD"], 0.0).step()
    assert push.tolist() == [0.0]
