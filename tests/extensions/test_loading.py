"""Modules of packages, folders and installed distributions are found under names of their own, and told of if wrong."""

import sys
from pathlib import Path

import pytest

from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import INSTALLED, modules


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folders_files_are_loaded_once_and_shadow_nothing(tmp_path: Path) -> None:
    folder, before = tmp_path / "agents", set(sys.modules)
    write(folder / "json.py", "VALUE = 1")
    write(folder / "deeper" / "one.py", "from ..json import VALUE\nfrom .other import OTHER")
    write(folder / "deeper" / "other.py", "OTHER = 2")
    found = {Path(module.__file__ or "").name: module for module in modules([str(folder)])}
    assert found.keys() == {"json.py", "one.py", "other.py"}
    assert (found["one.py"].VALUE, found["one.py"].OTHER) == (1, 2)
    assert all(module.__name__.startswith("_tickertape_") for module in found.values())
    import json

    assert not hasattr(json, "VALUE")
    assert not any(name == "agents" or name.startswith("agents.") for name in sys.modules.keys() - before)
    assert modules([str(folder), str(folder)])[0] is found["one.py"]


def test_tests_and_private_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for name in ("test_a.py", "a_test.py", "conftest.py", "_a.py", "tests/b.py", ".venv/c.py", "__pycache__/d.py"):
        write(folder / name, "raise ZeroDivisionError")
    write(folder / "good.py", "")
    assert [Path(module.__file__ or "").name for module in modules([str(folder)])] == ["good.py"]


def test_a_package_is_loaded_with_all_below_it() -> None:
    names = {module.__name__ for module in modules(["tickertape.agents"])}
    assert {"tickertape.agents", "tickertape.agents.market.bars", "tickertape.agents.signals"} <= names


def test_what_a_distribution_brings_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "acme_metrics" / "__init__.py", "")
    write(tmp_path / "acme_metrics" / "drawdown.py", "VALUE = 3")
    write(tmp_path / "acme-1.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    write(tmp_path / "acme-1.dist-info" / "entry_points.txt", "[tickertape.extensions]\nacme = acme_metrics\n")
    assert "acme_metrics" not in {module.__name__ for module in modules([INSTALLED])}
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [module.__name__ for module in modules([INSTALLED])] == ["acme_metrics", "acme_metrics.drawdown"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_module", r"line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\ny = x + z", r"bad.py, line 2: NameError: name 'z' is not defined"),
        ("def f(:", r"bad.py, line 1: invalid syntax"),
    ],
)
def test_a_file_that_fails_is_told_of_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    write(tmp_path / "bad.py", text)
    with pytest.raises(ConfigError, match=told) as raised:
        modules([str(tmp_path)])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("./no/such/folder", "agents in './no/such/folder': no such folder; see the setting `agents`"),
        ("no_such_package", "agents in 'no_such_package' can't be imported: No module named 'no_such_package'; see"),
        (
            "agents.market",
            "can't be imported: No module named 'agents'; Tickertape's own are in tickertape.agents; see",
        ),
    ],
)
def test_a_place_that_is_not_there_is_told_of(
    place: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # The project's own folders lie on the path of its tests.
    monkeypatch.delitem(sys.modules, "agents", raising=False)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not (Path(entry) / "agents").is_dir()])
    with pytest.raises(ConfigError, match=told):
        modules([place])


def test_a_second_copy_of_ours_is_told_of() -> None:
    # The project's folder is on the path of its tests.
    with pytest.raises(
        ConfigError, match=r"agents in 'agents.market' would be a second copy of .* own: write tickertape\."
    ):
        modules(["agents.market"])
