"""What a peer needs to run: a Python environment or Java, and jars, made on demand in a cache outside the checkout.

Packages and jars come from where pip and jgo are configured to look.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
#: The variable that names the cache.
CACHE = "TICKERTAPE_PEERS"


class MissingError(Exception):
    """A peer can't run here; the text says why."""


def cache() -> Path:
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "tickertape" / "peers")


def version(peer: str) -> str:
    """Return the version of a peer's own package: the first of its requirements, or of its jars."""
    path = REQUIREMENTS / f"{peer}.txt"
    if path.exists():
        return path.read_text().splitlines()[0].partition("==")[2]
    return next(iter(_pins(peer))).rpartition(":")[2]


def python(peer: str) -> Path:
    """Return the Python of a peer's environment; make the environment if there is none of these requirements.

    Raises
    ------
    MissingError
        pip can't install the requirements.
    """
    path = REQUIREMENTS / f"{peer}.txt"
    digest = hashlib.sha256(path.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache() / f"{peer}-{digest}"
    made = folder / "made"
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _do([sys.executable, "-m", "venv", str(folder)], "no environment can be made")
        _do(
            [str(folder / "bin" / "pip"), "install", "--disable-pip-version-check", "--quiet", "-r", str(path)],
            "pip can't install it",
        )
        made.touch()
    return folder / "bin" / "python"


def java(program: str = "java") -> str:
    """Return the path of ``java`` or ``javac``: in JAVA_HOME, or else on the PATH."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(program, path=f"{home}/bin" if home else None)
    if found is None:
        raise MissingError(
            f"there is no {program} in JAVA_HOME or on the PATH" if not home else f"JAVA_HOME has no {program}"
        )
    return found


def java_version() -> str:
    """Return Java's version, such as ``17.0.15``."""
    told = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True).stderr
    found = re.search(r'version "([^"]+)"', told)
    return found[1] if found else told.splitlines()[0]


def jars(peer: str) -> list[Path]:
    """Return a peer's jars, downloaded if they aren't in the cache.

    Raises
    ------
    MissingError
        A jar can't be downloaded, or isn't what it was when it was pinned.
    """
    repositories = GlobalSettings.load().repositories or None
    maven = MavenContext(repo_cache=cache() / "jars", remote_repos=repositories, timeout=60)
    found = []
    for coordinates, digest in _pins(peer).items():
        group, artifact, number = coordinates.split(":")
        try:
            path = maven.project(group, artifact).at_version(number).artifact().resolve()
        except (RuntimeError, OSError, requests.RequestException) as error:
            raise MissingError(f"{artifact}-{number}.jar can't be downloaded ({type(error).__name__})") from error
        verify(path, digest)
        found.append(path)
    return found


def verify(path: Path, digest: str) -> None:
    """Remove a file whose SHA-256 is another, so that the next run downloads it again."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        path.unlink()
        raise MissingError(f"{path.name} isn't the file whose SHA-256 was pinned")


def _pins(peer: str) -> dict[str, str]:
    pins: dict[str, dict[str, str]] = tomllib.loads((REQUIREMENTS / "jars.toml").read_text())
    return pins[peer]


def classes(source: Path, jars: Sequence[Path]) -> Path:
    """Return the folder of a Java program's classes, compiled if its source has changed."""
    digest = hashlib.sha256(source.read_bytes() + java_version().encode()).hexdigest()[:12]
    folder = cache() / f"{source.stem}-{digest}"
    if not (folder / f"{source.stem}.class").exists():
        path = os.pathsep.join(map(str, jars))
        _do([java("javac"), "-cp", path, "-d", str(folder), str(source)], "javac can't compile it")
    return folder


def _do(command: Sequence[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no reason given"]
        raise MissingError(f"{failure}: {last[0][:200]}")
