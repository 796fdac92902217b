"""`tickertape new`: what it writes works as it stands, and is found."""

import subprocess
import sys
from pathlib import Path

import pytest

from tickertape.stream.command_line.new import write
from tickertape.stream.engine.define.discovery import discover
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.registry import feeds, formats, load


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["metric", "feed", "format"])
def test_it_is_found_and_its_test_passes(kind: str) -> None:
    write(kind, "spread_ratio")
    places = load().agents
    found = {
        "metric": {topic.name.replace("-", "_") for topic in discover(places).topics},
        "feed": feeds(places).keys(),
        "format": formats(places).keys(),
    }
    assert "spread_ratio" in found[kind]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_settings_file_keeps_what_it_has() -> None:
    write("metric", "one")
    text = Path("tickertape.toml").read_text()
    write("metric", "two")
    assert Path("tickertape.toml").read_text() == text
    Path("tickertape.toml").write_text('skew_ms = 7\nagents = ["tickertape.agents"]\n\n[partitions]\ntrades = 2\n')
    write("metric", "three")
    assert load().skew_ms == 7
    assert load().partitions == {"trades": 2}
    assert load().agents == ["tickertape.agents", str(Path("metrics").resolve())]
    Path("tickertape.toml").write_text("[partitions]\ntrades = 2\n")
    write("metric", "four")
    assert load().partitions == {"trades": 2}
    assert load().agents[-1] == str(Path("metrics").resolve())


@pytest.mark.parametrize("name", ["Spread", "a-b", "class", "1st", "", "a" * 41, "../up"])
def test_a_name_that_is_none_is_told_of(name: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"is not a valid name: .* lower-case letter, .* at most 40 .* no Python keyword",
    ):
        write("metric", name)
    assert list(Path().iterdir()) == []


def test_nothing_is_written_over() -> None:
    write("metric", "one")
    with pytest.raises(ConfigError, match=r"metrics/one.py exists already: give the metric another name"):
        write("metric", "one")
