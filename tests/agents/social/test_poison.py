"""Whatever comes in a field of a post, it costs no other post, and ends in exactly one tally."""

import json
import random
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents.social.through import through
from tests.engine.blocks import HOUR_MS
from tests.engine.slices.test_poison import CORNERS
from tickertape.schemas.post import Post

GOOD = [
    {
        "author": f"author-{number % 4}",
        "source": "s",
        "id": number,
        "time_ms": HOUR_MS + 10 * number,
        "received_ms": HOUR_MS + 10 * number,
        "text": "buy $A",
        "tags": ["x", "y"][: number % 3],
        "symbols": ["A", "B"][: 1 + number % 2],
        "likes": number,
        "reposts": 0,
        "replies": 1,
        "copy_of": 3 if number % 5 == 0 else None,
        "language": "en",
        "sentiment": 0.25,
    }
    for number in range(18)
]
_read = msgspec.json.Decoder(Post).decode
ALIASES = {"A": ["buy"]}


def corner(post: dict[str, object], name: str, value: bytes) -> bytes:
    """Return a post as JSON, with any bytes in place of a value."""
    fields = [b'"%s":%s' % (n.encode(), value if n == name else json.dumps(v).encode()) for n, v in post.items()]
    return b"{" + b",".join(fields) + b"}"


def readable(value: bytes) -> bool:
    try:
        post = _read(value)
    except (ValueError, RecursionError):
        return False
    return post.time_ms <= post.received_ms + 5000 if post.received_ms else True


def assert_others_are_as_without(values: Sequence[bytes]) -> int:
    held, _, tallies = through(values, aliases=ALIASES)
    assert sum(msgspec.structs.astuple(tallies)) == len(values)
    kept = [value for value in values if readable(value)]
    # Names that can't be part of a key are turned down where they are met, so there may be more.
    assert tallies.rejected >= len(values) - len(kept)
    if tallies.rejected == len(values) - len(kept):
        clean, _, without = through(kept, aliases=ALIASES)
        assert held == clean
        assert without == msgspec.structs.replace(tallies, rejected=0)
    return tallies.rejected


def test_every_corner_in_every_field() -> None:
    for name in GOOD[0]:
        values = [json.dumps(post).encode() for post in GOOD]
        for i, value in enumerate(CORNERS):
            values += [
                corner(GOOD[4] | {"id": 100 + 2 * i}, name, value),
                json.dumps(GOOD[5] | {"id": 101 + 2 * i}).encode(),
            ]
        assert assert_others_are_as_without(values) > 10


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.05, 0.3, 1.0]))
def test_damaged_posts_among_good_ones(seed: int, share: float) -> None:
    rng = random.Random(seed)
    values = []
    for post in GOOD:
        whole = bytearray(json.dumps(post).encode())
        if rng.random() < share:
            match rng.randrange(3):
                case 0:
                    whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
                case 1:
                    del whole[rng.randrange(len(whole)) :]
                case 2:
                    at = rng.randrange(len(whole))
                    whole[at:at] = rng.choice([b"\x00", b'"', b"]", b"\xff", b",", b"9" * 30])
        values.append(bytes(whole))
    assert_others_are_as_without(values)
