import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from tickertape.stream.command_line.cli import cli
from tickertape.stream.command_line.commands import example_file
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.meanings import meanings
from tickertape.stream.configuration.settings import Settings, load
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define import registry

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tickertape", *arguments]
    return subprocess.run(command, env=ENVIRON | environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_defaults() -> None:
    settings = load({})
    assert settings == Settings()
    assert (settings.broker, settings.group, settings.agents) == ("", "tickertape", ["tickertape.agents", "installed"])
    assert (settings.slice_ms, settings.skew_ms, settings.epoch) == (1000, 5000, "1000-5000")
    assert settings.lateness_ms == {}


def test_the_environment() -> None:
    environ = {
        "TICKERTAPE_BROKER": "10.0.0.1:9092",
        "TICKERTAPE_SKEW_MS": "2000",
        "TICKERTAPE_FILL": "true",
        "TICKERTAPE_IDLE_SECONDS": "0.5",
        "TICKERTAPE_AGENTS": "agents,mine.agents",
        "TICKERTAPE_LATENESS_MS_TRADES": "500",
        "TICKERTAPE_PARTITIONS_DEAD_LETTERS": "3",
        "OTHER": "1",
    }
    assert load(environ) == Settings(
        broker="10.0.0.1:9092",
        skew_ms=2000,
        fill=True,
        idle_seconds=0.5,
        agents=["agents", "mine.agents"],
        lateness_ms={"trades": 500},
        partitions={"dead-letters": 3},
    )


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tickertape.toml"
    file.write_text('group = "file"\nslice_ms = 250\nbroker = "file:1"\n[partitions]\ntrades = 8\nbars = 2\n')
    environ = {
        "TICKERTAPE_CONFIG": str(file),
        "TICKERTAPE_GROUP": "environment",
        "TICKERTAPE_PARTITIONS_BARS": "6",
        "TICKERTAPE_BROKER": "environment:1",
    }
    assert load(environ, broker="line:1", skew_ms=None) == Settings(
        group="environment", slice_ms=250, broker="line:1", partitions={"trades": 8, "bars": 6}
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TICKERTAPE_SLICE", "1", "TICKERTAPE_SLICE: no such setting; see `tickertape settings`"),
        ("TICKERTAPE_SLICE_MS", "0", "setting: Expected `int` >= 1 - at `$.slice_ms`; see `tickertape settings`"),
        (
            "TICKERTAPE_SKEW_MS",
            "soon",
            "setting: Expected `int`, got `str` - at `$.skew_ms`; see `tickertape settings`",
        ),
        (
            "TICKERTAPE_PARTITIONS_BARS",
            "0",
            "setting: Expected `int` >= 1 - at `$.partitions[...]`; see `tickertape settings`",
        ),
    ],
)
def test_what_is_wrong_is_said(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize("content", [None, "group = ", "nonsense = 1"])
def test_a_file_that_is_wrong(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "tickertape.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"tickertape\.toml|nonsense"):
        load({"TICKERTAPE_CONFIG": str(file)})


def test_every_setting_has_a_meaning() -> None:
    found = meanings(Settings)
    assert set(found) == set(Settings.__struct_fields__)
    assert found["slice_ms"] == "The width of a slice of event time."
    assert found["block_records"] == found["block_bytes"]
    assert min(len(text) for text in found.values()) > 10


def test_the_command_shows_value_default_name_and_meaning() -> None:
    environ = {"TICKERTAPE_SLICE_MS": "250", "TICKERTAPE_LATENESS_MS_TRADES": "500"}
    lines = CliRunner().invoke(cli, ["settings"], env=environ).stdout.splitlines()
    start = lines.index("slice_ms = 250  (default 1000; TICKERTAPE_SLICE_MS)")
    assert lines[start + 1] == "    The width of a slice of event time."
    assert "lateness_ms = trades: 500  (default not set; TICKERTAPE_LATENESS_MS_<TOPIC>)" in lines
    assert "fill = false  (default false; TICKERTAPE_FILL)" in lines


def test_the_command_shows_them_also_when_one_is_wrong() -> None:
    done = run("settings", TICKERTAPE_SLICE_MS="0")
    assert done.returncode == 2
    assert "slice_ms = 1000  (default 1000; TICKERTAPE_SLICE_MS)" in done.stdout
    assert done.stderr == "tickertape: setting: Expected `int` >= 1 - at `$.slice_ms`; see `tickertape settings`\n"


def test_an_error_is_one_line_and_an_exit_code() -> None:
    done = run("topics")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "tickertape: no broker is set: give its address with --broker or TICKERTAPE_BROKER; `tickertape kafka` runs "
        "one\n"
    )
    assert run("nonsense").returncode == 2
    assert run("--help").returncode == 0


def test_a_reader_that_has_had_enough() -> None:
    script = f"{shlex.quote(sys.executable)} -m tickertape settings | head -c 1"
    done = subprocess.run(["bash", "-c", script], env=ENVIRON, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("b", "")


def test_the_usual_file_is_read_and_its_paths_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tickertape.toml").write_text(
        'skew_ms = 1\nsignals = "rules.toml"\nagents = ["tickertape.agents", "./metrics", "/elsewhere"]\n'
    )
    monkeypatch.chdir(tmp_path)
    found = load({})
    assert found.skew_ms == 1
    assert found.signals == str(tmp_path / "rules.toml")
    assert found.agents == ["tickertape.agents", str(tmp_path / "metrics"), "/elsewhere"]
    # From elsewhere it is named, and the environment wins.
    monkeypatch.chdir("/")
    assert load({}).skew_ms == 5000
    named = {"TICKERTAPE_CONFIG": str(tmp_path / "tickertape.toml"), "TICKERTAPE_SKEW_MS": "2"}
    assert load(named).skew_ms == 2
    assert load(named).agents[1] == str(tmp_path / "metrics")


def test_folders_of_the_command_line_are_added() -> None:
    assert load({}, more_agents=("/mine",)).agents == ["tickertape.agents", "installed", "/mine"]
    assert load({"TICKERTAPE_AGENTS": "a,b"}, more_agents=("/mine",)).agents == ["a", "b", "/mine"]


@pytest.mark.parametrize("from_file", [True, False])
def test_what_a_feed_declares_can_be_set_and_nothing_else(tmp_path: Path, from_file: bool) -> None:
    (tmp_path / "acme.py").write_text(
        "from msgspec import Struct\n"
        "from tickertape import Feed\n"
        "class Settings(Struct):\n"
        '    url: str = "wss://usual"\n'
        "    depth: int = 5\n"
        'FEED = Feed("acme", "trades.", lambda settings, symbols, name: None, Settings)\n'
    )

    def read(**values: str) -> Settings:
        if not from_file:
            environ = {f"TICKERTAPE_{name.upper()}": value for name, value in values.items()}
            return registry.load(environ, more_agents=(str(tmp_path),))
        file = tmp_path / "tickertape.toml"
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in values.items()) + 'agents = ["./"]\n')
        return registry.load({"TICKERTAPE_CONFIG": str(file)})

    found = read(acme_url="wss://mine", acme_depth="7")
    feed = registry.feeds(found.agents)["acme"]
    own = registry.settings_of(feed, found.feeds)
    assert (own.url, own.depth) == ("wss://mine", 7)
    assert registry.settings_of(feed, read().feeds) == feed.settings()
    # A process that is started with these settings has them too.
    assert environment(found)["TICKERTAPE_ACME_URL"] == "wss://mine"
    with pytest.raises(ConfigError, match=r"(?i)acme_urls: no such setting; see `tickertape settings`"):
        read(acme_urls="x")
    with pytest.raises(ConfigError, match=r"setting of acme: .*depth.*; see `tickertape settings`"):
        registry.settings_of(feed, read(acme_depth="deep").feeds)
    with pytest.raises(ConfigError, match=r"(?i)feeds: no such setting"):
        read(feeds="x")


def test_the_example_is_a_file_with_every_default(tmp_path: Path) -> None:
    text = example_file(())
    assert all(line.startswith("#") or not line for line in text.splitlines())
    # With one # taken away it sets each to what it is.
    set_ = "\n".join(line.removeprefix("# ") for line in text.splitlines() if not line.startswith("##"))
    (tmp_path / "tickertape.toml").write_text(set_)
    named = {"TICKERTAPE_CONFIG": str(tmp_path / "tickertape.toml")}
    found = registry.load(named)
    assert replace(found, feeds={}) == Settings()
    for feed in registry.feeds(()).values():
        assert registry.settings_of(feed, found.feeds) == feed.settings()
    missing = [name for name in Settings.__struct_fields__ if f"{name} = " not in set_ and f"[{name}]" not in set_]
    assert missing == ["feeds"]
