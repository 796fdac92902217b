"""The builder and the loader: which compiler is taken, and what is said where there is none, or no library."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tickertape.stream.compiled import build
from tickertape.stream.compiled.library import path_taken, why_numpy

BUILD = build.FOLDER / "build.py"
# A compiler that writes how it was called where the library should be.
WRITES = """\
#!/bin/sh
for last; do :; done
printf '%s\\n' "$0" "$@" > "$last"
"""
ZIGLANG = """\
import sys
open(sys.argv[-1], "w").write("\\n".join(["ziglang", *sys.argv[1:]]))
"""


def has_compiler() -> bool:
    try:
        build.compiler()
    except build.BuildError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs a C compiler")


class Place:
    """A machine with the programs that a test puts on it, and a Python with no packages but theirs."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.packages, self.out = folder / "bin", folder / "packages", folder / "out" / "hot.so"
        self.bin.mkdir()
        self.packages.mkdir()

    def program(self, name: str, text: str = WRITES) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def ziglang(self) -> None:
        package = self.packages / "ziglang"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(ZIGLANG)

    def build(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", str(BUILD), "--out", str(self.out), *words]
        environment = {"PATH": str(self.bin), "PYTHONPATH": str(self.packages), **variables}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    def called(self, *words: str, **variables: str) -> list[str]:
        """Build, and return the words that the compiler was called with."""
        done = self.build(*words, **variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return self.out.read_text().splitlines()

    def said(self, *words: str, **variables: str) -> str:
        """Build in vain, and return the one line that is said."""
        done = self.build(*words, **variables)
        assert (done.returncode, done.stdout) == (1, "")
        assert not self.out.exists()
        assert not self.out.parent.exists() or list(self.out.parent.iterdir()) == []
        (line,) = done.stderr.splitlines()
        before, after = "the hot path is not compiled, so NumPy does its work: ", "; then run `make compiled`"
        assert line.startswith(before)
        assert line.endswith(after)
        return line.removeprefix(before).removesuffix(after)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# Which compiler.


@pytest.mark.parametrize("there", [("clang", "gcc", "cc"), ("clang", "gcc"), ("clang",)], ids=", ".join)
def test_the_compilers_of_the_system_come_in_their_order(place: Place, there: tuple[str, ...]) -> None:
    place.ziglang()
    for name in there:
        place.program(name)
    # A shell says under which name or path it was called.
    assert Path(place.called()[0]).name == there[-1]


def test_what_cc_says_comes_first_with_its_flags(place: Place) -> None:
    place.program("cc")
    mine = place.program("my-cc")
    assert place.called(CC="my-cc -m64 '-DA=B'")[:3] == [str(mine), "-m64", "-DA=B"]
    assert Path(place.called(CC=" ")[0]).name == "cc"


def test_ziglang_comes_last_and_for_any_processor(place: Place) -> None:
    place.ziglang()
    assert place.called()[:3] == ["ziglang", "cc", "-mcpu=baseline"]


def test_another_machine_is_ziglangs(place: Place) -> None:
    place.program("cc")
    assert place.said("--target", "aarch64-linux-gnu").startswith("only ziglang compiles for another machine")
    place.ziglang()
    called = place.called("--target", "aarch64-linux-gnu", CC="cc")
    assert called[:2] == ["ziglang", "cc"]
    assert called[called.index("-target") + 1] == "aarch64-linux-gnu"


def test_all_sources_are_compiled(place: Place) -> None:
    place.program("cc")
    called = place.called()
    assert [word for word in called if word.endswith(".c")] == sorted(map(str, build.FOLDER.glob("source/*.c")))
    assert {"-std=c11", "-ffp-contract=off", "-shared"} <= set(called)
    # The compilers of users may know more warnings than ours.
    assert "-Werror" not in called


def test_which_only_tells(place: Place) -> None:
    place.program("gcc")
    done = place.build("--which")
    assert (done.returncode, done.stdout, place.out.exists()) == (0, "gcc\n", False)
    (place.bin / "gcc").unlink()
    assert place.said("--which").startswith("there is no C compiler")


# What is said where none compiles.


def test_no_compiler(place: Place) -> None:
    said = place.said()
    assert said == "there is no C compiler; install one, such as gcc with libc6-dev, or the package ziglang"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "echo 'In file included from scan.c:' >&2\necho 'fatal error: stdlib.h: none' >&2",
            "fatal error: stdlib.h: none",
        ),
        ("echo 'no licence\n today' >&2", "no licence"),
        ("", "it ended with status 3"),
        # What it has written so far isn't kept.
        ('for last; do :; done; echo half > "$last"', "it ended with status 3"),
    ],
)
def test_a_compiler_that_fails(place: Place, script: str, why: str) -> None:
    place.program("cc", f"#!/bin/sh\n{script}\nexit 3\n")
    assert place.said() == f"cc fails: {why}"
    assert place.said(CC="cc -m64") == f"cc -m64 fails: {why}"


def test_a_compiler_that_cannot_be_run(place: Place) -> None:
    assert place.said(CC="no-such-cc") == "no-such-cc can't be used: No such file or directory"


def test_a_folder_that_cannot_be_written(place: Place) -> None:
    place.program("cc")
    place.out.parent.write_text("a file")
    done = place.build()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"the hot path is not compiled, so NumPy does its work: {place.out.parent} can't be used: ")


# The library's name.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(build.FOLDER, tmp_path / "copy", ignore=shutil.ignore_patterns("*.so", "__pycache__"))


def built(copy: Path, place: Place) -> list[str]:
    environment = {"PATH": str(place.bin)}
    subprocess.run([sys.executable, "-S", str(copy / "build.py")], check=True, env=environment)
    return sorted(path.name for path in copy.glob("*.so"))


@pytest.mark.parametrize("changed", ["scan.c", "hot.h"])
def test_other_sources_make_another_library_and_the_old_one_goes(copy: Path, place: Place, changed: str) -> None:
    place.program("cc")
    (before,) = built(copy, place)
    # The same sources are the same library, wherever they are.
    assert before == build.library().name
    assert built(copy, place) == [before]
    (copy / "hot-sanitized-0123.so").touch()
    with (copy / "source" / changed).open("a") as file:
        file.write("/* more */\n")
    (after,) = built(copy, place)
    assert after != before


def test_a_failing_compiler_leaves_the_library_that_is_there(copy: Path, place: Place) -> None:
    place.program("cc")
    before = built(copy, place)
    place.program("cc", "#!/bin/sh\nexit 1\n")
    done = subprocess.run(
        [sys.executable, "-S", str(copy / "build.py")],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(place.bin)},
    )
    assert done.stderr == (
        "the hot path is not compiled, so what was compiled of the same sources stays: "
        "cc fails: it ended with status 1; then run `make compiled`\n"
    )
    assert sorted(path.name for path in copy.glob("*.so")) == before


# What is loaded, and what is said where nothing is.


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "hot.so"
    build.build(path, strict=True)
    return path


def version(**variables: str) -> str:
    """Return what a new process says that it runs with: a library that can't be loaded may end its process."""
    environment = {name: value for name, value in os.environ.items() if name not in (build.OFF, build.INSTEAD)}
    done = subprocess.run(
        [sys.executable, "-m", "tickertape", "--version"],
        check=False,
        capture_output=True,
        text=True,
        env=environment | variables,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.removeprefix("tickertape 0.1.0 ").rstrip("\n")


@needs_compiler
def test_sources_compile_without_a_warning_and_load(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(build.OFF, raising=False)
    monkeypatch.setenv(build.INSTEAD, str(compiled))
    assert (why_numpy(), path_taken()) == ("", "compiled")
    assert version(**{build.INSTEAD: str(compiled)}) == "(compiled)"
    assert version(**{build.INSTEAD: os.path.relpath(compiled)}) == "(compiled)"


@pytest.mark.parametrize(
    ("value", "why"), [("1", f"{build.OFF} is set"), ("yes", f"{build.OFF} is set"), ("0", "none"), ("", "none")]
)
def test_it_can_be_turned_off(value: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(build.OFF, value)
    monkeypatch.setenv(build.INSTEAD, str(tmp_path / "none"))
    assert why_numpy() == why.replace("none", f"{build.INSTEAD} names no file")


def test_turned_off_it_says_so() -> None:
    assert version(**{build.OFF: "1"}) == "(NumPy only: TICKERTAPE_NUMPY_ONLY is set)"


def test_it_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(build.OFF, raising=False)
    monkeypatch.delenv(build.INSTEAD, raising=False)
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert path_taken() == "NumPy only: not built; see CONTRIBUTING.md"


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF\2\1", b"\x7fELF\2\1" + b"\xff" * 200])
def test_a_file_that_is_no_library(content: bytes, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(content)
    assert version(**{build.INSTEAD: str(damaged)}).startswith("(NumPy only: damaged.so ")


@needs_compiler
@pytest.mark.parametrize("tenths", [1, 4, 7])
def test_a_library_that_is_cut_off(compiled: Path, tenths: int, tmp_path: Path) -> None:
    whole = compiled.read_bytes()
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(whole[: len(whole) * tenths // 10])
    assert version(**{build.INSTEAD: str(damaged)}).startswith("(NumPy only: damaged.so ")


def test_a_folder_in_place_of_a_library(tmp_path: Path) -> None:
    said = version(**{build.INSTEAD: str(tmp_path)})
    assert said.startswith(f"(NumPy only: {tmp_path.name} can't be loaded: ")


@needs_compiler
def test_another_library(tmp_path: Path) -> None:
    source, other = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text("int other;\n")
    subprocess.run([*build.compiler(), "-shared", "-fPIC", str(source), "-o", str(other)], check=True)
    said = version(**{build.INSTEAD: str(other)})
    assert said.startswith("(NumPy only: other.so can't be loaded: ")
    assert "tt_set_powers" in said
