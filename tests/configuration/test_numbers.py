"""Numbers that are none, in settings, rules and on the command line: one line says which."""

import subprocess
import sys
from pathlib import Path

import pytest

from tickertape.stream.configuration.numbers import not_finite
from tickertape.stream.configuration.settings import load
from tickertape.stream.engine.derived import rules
from tickertape.stream.errors import ConfigError

NAN, INF = float("nan"), float("inf")


def test_where_a_number_is_none() -> None:
    found = {"a": [1.0, NAN, {"b": INF}], "c": (-INF,), "d": 3, "e": "inf"}
    assert list(not_finite(found)) == ["a[1]", "a[2].b", "c[0]"]


@pytest.mark.parametrize("text", ["nan", "inf", "1e999"])
@pytest.mark.parametrize("name", ["idle_seconds", "commit_seconds", "snapshot_seconds", "feed_ping_seconds"])
def test_a_setting_that_is_none(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({f"TICKERTAPE_{name.upper()}": text})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "line", ["above = nan", "above = inf", "above = 1\nrearm = -inf", "above = 1\ncooldown_seconds = inf"]
)
def test_a_rule_that_has_none(tmp_path: Path, line: str) -> None:
    path = tmp_path / "signals.toml"
    path.write_text(f'[[rule]]\nname = "r"\nwhen = "threshold"\non = "bars"\nfield = "close"\n{line}\n')
    field = line.splitlines()[-1].partition(" ")[0]
    with pytest.raises(ConfigError, match=f"^{path}: rule r: {field} isn't a finite number$"):
        rules.load(str(path))


@pytest.mark.parametrize(
    "words",
    [
        ["feed", "simulate", "--rate", "nan"],
        ["feed", "simulate", "--for", "inf"],
        ["feed", "file", "x", "--speed", "nan"],
        ["demo", "--for", "inf"],
        ["chaos", "--minutes", "nan"],
    ],
    ids=" ".join,
)
def test_an_option_that_is_none(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "tickertape", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert words[-1] in done.stderr
