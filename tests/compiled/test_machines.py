"""The hot path finds the same on each processor: on this one, and on an emulated one. Run by `make aarch64`."""

import importlib.util
import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tickertape.stream.compiled import build
from tickertape.stream.compiled.library import powers

SOURCE = Path(__file__).with_name("machine.c")
SEED = 20260101
BASE_OFFSET, FIRST_MS = 1000, 5000  # as in machine.c


class Machine(NamedTuple):
    target: str | None
    emulator: str | None


MACHINES = {"here": Machine(None, None), "aarch64": Machine("aarch64-linux-musl", "qemu-aarch64")}


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that has a processor read standard input."""
    target, emulator = MACHINES[request.param]
    if emulator and not (shutil.which(emulator) and importlib.util.find_spec("ziglang")):
        pytest.skip(f"needs {emulator} (on Debian and Ubuntu, apt-get install qemu-user) and ziglang: make aarch64")
    try:
        compiler = build.compiler(target)
    except build.BuildError as error:
        pytest.skip(str(error))
    program = tmp_path_factory.mktemp("machine") / "machine"
    flags = [*build.FLAGS, *build.STRICT, f"-I{build.FOLDER / 'source'}", *(["-static"] if emulator else [])]
    flags = [flag for flag in flags if flag not in ("-shared", "-fPIC")]
    command = [*compiler, *flags, *map(str, build.SOURCES), str(SOURCE), "-o", str(program)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return [emulator, str(program)] if emulator else [str(program)]


def decimals(some: random.Random) -> Iterator[tuple[int, int]]:
    """Yield digits and exponents: prices, any, and those near half way between two doubles."""
    for _ in range(20_000):
        yield some.randrange(1, 10**9), some.randrange(-9, 3)
        yield some.randrange(1, 10**19), some.randrange(-342, 309)
        yield (some.randrange(2**52, 2**53) * 2 + 1) << some.randrange(0, 10), some.randrange(-5, 5)


class Record(NamedTuple):
    text: bytes
    scanned: bool
    columns: tuple[int, float, int, int]
    given: bool


def records(some: random.Random) -> Iterator[Record]:
    """Yield records as feeds write them, with what is in them, and some that are left to msgspec."""
    for i in range(10_000):
        code, price, count = some.randrange(26), some.choice((1e-5, 1.0, 1e5)) * some.random(), some.getrandbits(62)
        side = some.choice((None, "buy", "sell"))
        fields = {"symbol": f"{chr(ord('A') + code)}-USD", "price": price, "count": count >> some.randrange(62)}
        if side or i % 2:
            fields["side"] = side
        columns = code, price, fields["count"], int(side == "sell")
        yield Record(json.dumps(fields, separators=(",", some.choice((":", ": ")))).encode(), True, columns, bool(side))
    for text in (
        b'{"symbol":"A\\u002dUSD","price":1}',
        b'{"symbol":"a-USD","price":1}',
        b'{"symbol":"A-USD","price":0}',
        b'{"symbol":"A-USD","price":01}',
        b'{"symbol":"A-USD"}',
        b'{"symbol":"A-USD","price":1}}',
        '{"symbol":"Å-USD","price":1}'.encode(),
        b"",
    ):
        yield Record(text, False, (0, 0.0, 0, 0), False)


def zigzag(number: int) -> bytes:
    left = number * 2 if number >= 0 else -number * 2 - 1
    groups = []
    while True:
        groups.append(left & 127 | (128 if left > 127 else 0))
        left >>= 7
        if not left:
            return bytes(groups)


def batch(some: random.Random) -> tuple[bytes, list[list[int]]]:
    """Return the records of a batch as in Kafka's protocol, and what a split finds: places, and if it is a bundle."""
    whole, found = b"", []
    for i in range(2_000):
        later_ms, value = some.randrange(-9, 10**6), some.choice((None, b"", some.randbytes(some.randrange(300))))
        head = b"\0" + zigzag(later_ms) + zigzag(i * 3) + some.choice((zigzag(-1), zigzag(2) + b"ab"))
        head += zigzag(-1 if value is None else len(value))
        key = some.choice((b"k", b"bundle", b"bundles", b"bundlf"))
        tail = some.choice((zigzag(0), zigzag(1) + zigzag(len(key)) + key + zigzag(-1)))
        record = head + (value or b"") + tail
        at = len(whole) + len(zigzag(len(record))) + len(head)
        size = -1 if value is None else len(value)
        found.append([at, size, BASE_OFFSET + i * 3, FIRST_MS + later_ms, at + max(size, 0), tail[2:-1] == b"bundle"])
        whole += zigzag(len(record)) + record
    return whole, found


def test_a_processor_finds_what_is_there(machine: list[str]) -> None:
    some = random.Random(SEED)
    numbers, texts, (bytes_, places) = list(decimals(some)), list(records(some)), batch(some)
    buffer, sizes = b"".join(record.text for record in texts), [len(record.text) for record in texts]
    n_numbers, n_texts, n_places = len(numbers), len(texts), len(places)
    given = [
        np.array([n_numbers, n_texts, len(buffer), n_places, len(bytes_)], np.int64),
        powers(),
        np.array([digits for digits, _ in numbers], np.uint64),
        np.array([exponent for _, exponent in numbers], np.int64),
        np.cumsum([0, *sizes[:-1]]),
        np.array(sizes, np.int64),
    ]
    done = subprocess.run(
        machine, check=False, capture_output=True, input=b"".join(each.tobytes() for each in given) + buffer + bytes_
    )
    assert (done.returncode, done.stderr) == (0, b"")
    output = memoryview(done.stdout)

    found, output = np.frombuffer(output[: 16 * n_numbers]).reshape(-1, 2), output[16 * n_numbers :]
    sure = found[:, 0] == 1
    right = np.array([float(f"{digits}e{exponent}") for digits, exponent in numbers])
    assert found[sure, 1].tobytes() == right[sure].tobytes()
    # Left to Python are those below the normal doubles, and those above.
    assert sure.tolist() == ((right >= np.finfo(float).tiny) & np.isfinite(right)).tolist()

    left, output = int(np.frombuffer(output[:8], np.int64)[0]), output[8:]
    columns, output = np.frombuffer(output[: 32 * n_texts], np.int64).reshape(4, -1), output[32 * n_texts :]
    flags, output = np.frombuffer(output[: 2 * n_texts], np.bool_).reshape(2, -1), output[2 * n_texts :]
    scanned = [record for record in texts if record.scanned]
    assert left == n_texts - len(scanned)
    assert flags[1].tolist() == [record.scanned for record in texts]
    assert flags[0, : len(scanned)].tolist() == [record.given for record in scanned]
    for column, row in enumerate(columns[:, : len(scanned)]):
        values = row.view(np.float64) if column == 1 else row
        assert values.tolist() == [record.columns[column] for record in scanned], column

    assert np.frombuffer(output[:8], np.int64).tolist() == [1]
    split, marked = output[8:-n_places], output[-n_places:]
    assert np.frombuffer(split, np.int64).reshape(5, -1).T.tolist() == [place[:5] for place in places]
    assert np.frombuffer(marked, np.bool_).tolist() == [place[5] for place in places]
