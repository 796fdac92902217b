"""A wheel has the hot path compiled, for every Python; without a compiler it is one for every platform too."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from tickertape.stream.compiled import build

ROOT = Path(__file__).parents[2]
# What a wheel is made of: as the Dockerfile has it.
MADE_OF = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "tickertape", "schemas", "stream", "agents")
MADE_OF += ("grafana", "prometheus")
FOLDER = "tickertape/stream/compiled/"
SOURCES = {f"{FOLDER}source/{path.name}" for path in (*build.SOURCES, *build.HEADERS)}
# They share what one of them makes.
pytestmark = pytest.mark.xdist_group("wheel")
RUN = [sys.executable, "-c"]
SDIST = "from setuptools import build_meta; build_meta.build_sdist('dist')"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("a clone")
    for name in MADE_OF:
        if (ROOT / name).is_dir():
            # A library that is there must be of no use.
            ignore = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, clone / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, clone)
    return clone


def wheel_of(clone: Path, to: Path, **variables: str) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(to), str(clone)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | variables,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = to.iterdir()
    return wheel


def hot_path(wheel: Path) -> set[str]:
    """Return the names of all in it that isn't Python, of the compiled hot path."""
    with ZipFile(wheel) as file:
        return {name for name in file.namelist() if name.startswith(FOLDER) and not name.endswith(".py")}


def says(wheel: Path, folder: Path) -> str:
    """Return what `--version` says of a wheel that is installed, far from any clone."""
    site = folder / "site"
    with ZipFile(wheel) as file:
        file.extractall(site)
    code = "import sys, tickertape; from tickertape.stream.command_line.cli import main; sys.argv[1:] = ['--version']; "
    code += "print(tickertape.__file__, flush=True); main()"
    environment = {name: value for name, value in os.environ.items() if name not in (build.OFF, build.INSTEAD)}
    done = subprocess.run(
        [*RUN, code],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(site)},
    )
    where, said = done.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    return said


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        build.compiler()
    except build.BuildError as error:
        pytest.skip(str(error))
    # What an earlier build has left doesn't come into it.
    stale = clone / "build" / "lib" / FOLDER / "hot-0123456789abcdef.so"
    stale.parent.mkdir(parents=True)
    stale.touch()
    return wheel_of(clone, tmp_path_factory.mktemp("wheel"))


def test_a_wheel_is_of_a_platform_and_for_every_python(wheel: Path) -> None:
    _, _, python, abi, platform = wheel.stem.split("-")
    assert (python, abi) == ("py3", "none")
    assert platform != "any"
    assert hot_path(wheel) == {*SOURCES, FOLDER + build.library().name}


def test_its_library_is_loaded(wheel: Path, tmp_path: Path) -> None:
    assert says(wheel, tmp_path) == "tickertape 0.1.0 (compiled)"


def test_the_page_of_the_console_is_in_it(wheel: Path) -> None:
    page = ROOT / "stream" / "console"
    with ZipFile(wheel) as file:
        there = {name for name in file.namelist() if name.startswith("tickertape/stream/console/page/")}
    assert there == {f"tickertape/stream/console/{path.relative_to(page)}" for path in page.glob("page/**/*.*")}


@pytest.mark.usefixtures("wheel")  # which left a library in the clone's folder build
def test_without_a_compiler_a_wheel_is_for_every_platform(clone: Path, tmp_path: Path) -> None:
    pure = wheel_of(clone, tmp_path / "pure", CC="no-such-compiler")
    assert pure.name == "tickertape-0.1.0-py3-none-any.whl"
    assert hot_path(pure) == SOURCES
    assert says(pure, tmp_path) == "tickertape 0.1.0 (NumPy only: not built; see CONTRIBUTING.md)"


def test_an_sdist_makes_the_same_wheel(wheel: Path, clone: Path, tmp_path: Path) -> None:
    subprocess.run([*RUN, SDIST], check=True, capture_output=True, cwd=clone)
    with tarfile.open(clone / "dist" / "tickertape-0.1.0.tar.gz") as file:
        file.extractall(tmp_path, filter="data")
    again = wheel_of(tmp_path / "tickertape-0.1.0", tmp_path / "again")
    assert again.name == wheel.name
    with ZipFile(wheel) as one, ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


def test_an_editable_one_is_made_without_a_compiler(clone: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--target", str(tmp_path), "--editable", str(clone)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"CC": "no-such"})
    assert done.returncode == 0, done.stderr
    assert list((clone / "stream" / "compiled").glob("*.so")) == []
