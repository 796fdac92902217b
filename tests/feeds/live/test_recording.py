"""What is recorded is there after a kill, and whole."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tickertape.stream.errors import InputError
from tickertape.stream.feeds.live.recording import Recording

# 2024-08-08 23:59:59.5 UTC.
BEFORE_MIDNIGHT_NS = 1_723_161_599_500_000_000


def test_an_hour_is_a_file_and_a_line_is_a_message(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "frames", "binance-0")
    recording.add(b'{"a": 1}', BEFORE_MIDNIGHT_NS)
    recording.add(b'{\n"a": 2}', BEFORE_MIDNIGHT_NS + 499_999_999)
    recording.add(b"\xff", BEFORE_MIDNIGHT_NS + 500_000_000)
    recording.flush()
    read = {
        path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "frames").iterdir() if path.stat().st_size
    }
    assert read == {
        "binance-0-20240808T23.jsonl.gz": b'1723161599500000000 {"a": 1}\n1723161599999999999 { "a": 2}\n',
        "binance-0-20240809T00.jsonl.gz": b"1723161600000000000 \xff\n",
    }


def test_a_feed_that_starts_again_goes_on_in_the_file(tmp_path: Path) -> None:
    for text in (b"one", b"two"):
        recording = Recording(tmp_path, "x")
        recording.add(text, BEFORE_MIDNIGHT_NS)
        recording.flush()
    assert gzip.decompress((tmp_path / "x-20240808T23.jsonl.gz").read_bytes()).split() == [
        *(b"1723161599500000000", b"one"),
        *(b"1723161599500000000", b"two"),
    ]


def test_a_kill_leaves_all_that_was_written(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tickertape.stream.feeds.live.recording import Recording\n"
        "recording = Recording(Path(sys.argv[1]), 'x')\n"
        "recording.add(b'flushed', 1); recording.flush()\n"
        # So much is written without being told.
        "[recording.add(b'y' * 1000, 2) for _ in range(300)]\n"
        "print('done', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    lines = gzip.decompress((tmp_path / "x-19700101T00.jsonl.gz").read_bytes()).splitlines()
    assert lines[0] == b"1 flushed"
    assert set(lines[1:]) == {b"2 " + b"y" * 1000}
    assert len(lines) == 1 + 263


def test_a_folder_that_cannot_be_written_is_told_of_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"^{tmp_path}/file/frames: can't be written \(Not a directory\)$"):
        Recording(tmp_path / "file" / "frames", "x")


def test_a_disk_that_fails_is_told_of_once_and_ends_the_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(tmp_path, "x")
    # A folder where the file would be.
    (tmp_path / "x-20240808T23.jsonl.gz").mkdir()
    for _ in range(3):
        recording.add(b"lost", BEFORE_MIDNIGHT_NS)
        recording.flush()
    assert len(caplog.messages) == 1
    assert "x-20240808T23.jsonl.gz: can't be written" in caplog.messages[0]
    assert caplog.messages[0].endswith("nothing more is recorded")
