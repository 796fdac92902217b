"""The command's own words: what was written, and a line for what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.replay.generated import trades
from tests.replay.running import bars, lines


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickertape", *words], check=False, capture_output=True, text=True, timeout=120
    )


def test_it_says_what_it_read_and_wrote(tmp_path: Path) -> None:
    (tmp_path / "some").write_bytes(lines(trades(2)))
    out = tmp_path / "made" / "here"
    done = command("replay", str(tmp_path / "some"), "--format", "json", "--out", str(out), "--partitions", "2")
    assert done.stdout.splitlines()[:3] == [
        "2 trades",
        "read 6 = counted 2 + late 0 + rejected 0 + repeated 0 + unmatched 0 + heartbeats 4",
        f"{out}/bars.parquet: 20 finals",
    ]
    assert (done.returncode, (out / "bars.parquet").exists()) == (0, True)


def test_a_capture_has_the_source_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "some").write_bytes(lines(trades(2)))
    words = ["--format", "json", "--source", "binance-futures", "--out", str(tmp_path / "out")]
    assert command("replay", str(tmp_path / "some"), *words).returncode == 0
    assert {source for _, source, *_ in bars(tmp_path / "out")} == {"binance-futures", "all"}


@pytest.mark.parametrize(
    ("words", "wrong", "code"),
    [
        (["replay", "--topic", "trades", "--source", "x", "--out", "OUT"], "--sort and --source are for files", 2),
        (["replay", "--out", "OUT"], "name either files or, with --topic, a topic", 2),
        (
            ["replay", "FILE", "--topic", "trades", "--out", "OUT"],
            "name either files or, with --topic, a topic",
            2,
        ),
        (
            ["replay", "FILE", "--format", "avro", "--out", "OUT"],
            "--format avro: no such format; there are",
            2,
        ),
        (["replay", "--topic", "trades", "--out", "OUT"], "no broker is set", 2),
        (["replay", "--topic", "trades", "--partitions", "3", "--out", "OUT"], "--partitions is for files", 2),
        (["replay", "FILE", "--out", "FILE/there"], "--out FILE/there: Not a directory", 2),
        (["replay", "FILE.gone", "--out", "OUT"], "FILE.gone: No such file or directory", 3),
        (["verify"], "no broker is set", 2),
    ],
)
def test_what_is_wrong_is_a_line(tmp_path: Path, words: list[str], wrong: str, code: int) -> None:
    (tmp_path / "file").write_bytes(b"")
    names = {"FILE": str(tmp_path / "file"), "OUT": str(tmp_path / "out")}
    for short, long in names.items():
        words, wrong = [word.replace(short, long) for word in words], wrong.replace(short, long)
    done = command(*words)
    assert (done.returncode, done.stderr.splitlines()[-1].startswith(f"tickertape: {wrong}")) == (code, True), (
        done.stderr
    )
