"""``tickertape alerts test``, which needs no Kafka."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.alerts.servers import web
from tickertape.stream.command_line.cli import cli
from tickertape.stream.errors import ConfigError, LawBroken


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "alerts.toml"
    monkeypatch.setenv("TICKERTAPE_ALERTS", str(file))
    entry = '[[channel]]\nname = "{0}"\nkind = "webhook"\nurl_env = "URL_{0}"\n'
    file.write_text("".join(entry.format(name) for name in ("one", "two")))
    return file


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["alerts", "test", *words])


def test_it_tries_each_channel_or_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.exists()
    with web() as one, web(500) as two:
        monkeypatch.setenv("URL_one", one.url)
        monkeypatch.setenv("URL_two", f"{two.url}/s3cret")
        two.body = f"not at {two.url}/s3cret"
        done = run()
        assert done.output.splitlines() == ["one (webhook): sent", "two (webhook): HTTP 500 not at …"]
        assert isinstance(done.exception, LawBroken)
        assert str(done.exception) == "1 of 2 channels failed"
        again = run("two")
    assert (again.output, again.exit_code) == ("two (webhook): sent\n", 0)
    (request,) = one.requests
    assert request.json["alerts"][0]["rule"] == "test"
    # Each has a picture too, which is what a channel most often refuses.
    assert request.json["picture"].startswith("iVBORw0KGgo")


def test_a_channel_that_does_not_exist_is_told_of(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.exists()
    monkeypatch.setenv("URL_one", "http://127.0.0.1:1")
    monkeypatch.setenv("URL_two", "http://127.0.0.1:1")
    assert str(run("three").exception) == "three: no such channel; there are one, two"


def test_without_a_file_it_says_what_to_set() -> None:
    found = run().exception
    assert isinstance(found, ConfigError)
    assert str(found) == "setting: alerts names no file, so there is no channel; see docs/alerts.md"
