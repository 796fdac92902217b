"""What a record of frames looks like, byte by byte, and that records of earlier versions are read."""

import msgspec
import pytest

from tests.engine.made_frames import frame, upsert
from tickertape.schemas import frame as frames
from tickertape.schemas.frame import Frame, frames_in, to_records

encode = msgspec.msgpack.encode


def some(n: int) -> list[Frame]:
    return [frame(upto, upsert(0, 1.0), lanes={"s": 0}, partition=upto) for upto in range(n)]


# The heads are those of the MessagePack specification: fixarray, array 16 and array 32.
@pytest.mark.parametrize(
    ("n", "head"),
    [
        (2, b"\x92"),
        (15, b"\x9f"),
        (16, b"\xdc\x00\x10"),
        (65_535, b"\xdc\xff\xff"),
        (65_536, b"\xdd\x00\x01\x00\x00"),
    ],
)
def test_a_record_is_an_array_of_frames(n: int, head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "RECORD_BYTES", 1 << 40)
    one = encode(frame(1, lanes={"s": 0}))
    (record,) = to_records([one] * n)
    assert record == head + one * n
    assert frames_in(record) == [frame(1, lanes={"s": 0})] * n


def test_a_frame_alone_is_the_record_itself_as_before() -> None:
    (one,) = some(1)
    assert list(to_records([encode(one)])) == [encode(one)]
    assert frames_in(encode(one)) == [one]


def test_a_frame_of_an_earlier_version_with_fewer_fields_is_read() -> None:
    (one,) = some(1)
    # Sketches, evicted_ms and behind came later.
    assert frames_in(encode(list(msgspec.structs.astuple(one))[:12])) == [one]


def test_frames_keep_their_order_and_none_is_lost_where_they_are_split() -> None:
    made = some(9)
    size = len(encode(made[0]))
    for most in (1, size, 2 * size, 3 * size + 1, 100 * size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frames, "RECORD_BYTES", most)
            records = list(to_records([encode(one) for one in made]))
        assert [one for record in records for one in frames_in(record)] == made
        # The head of an array takes a byte.
        assert max(map(len, records)) <= max(most + 1, size)
        assert len(records) == -(-9 // max(1, most // size))
    assert list(to_records([])) == []


@pytest.mark.parametrize(
    "bad", [b"", b"\x90", b"\xdc", b"\xdc\x00\x02", b"\x92\x91", b"\x92\x9f", b"\xdd\xff\xff\xff\xff\x90"]
)
def test_what_is_no_record_of_frames_is_refused(bad: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        frames_in(bad)


def test_a_record_with_one_bad_frame_is_refused() -> None:
    good, other = map(encode, some(2))
    with pytest.raises(msgspec.MsgspecError):
        frames_in(b"\x93" + good + b"\x91\xa1s" + other)
