"""What a peer needs is made on demand; where that fails, the reason is told in a line."""

import hashlib
import tomllib
from pathlib import Path

import pytest

from bench.peers import environments
from bench.peers.environments import REQUIREMENTS, MissingError

PEERS = ("bytewax", "flink", "pathway", "quix", "spark")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERTAPE_PEERS", str(tmp_path / "cache"))


@pytest.mark.parametrize("peer", PEERS)
def test_every_package_is_pinned(peer: str) -> None:
    lines = (REQUIREMENTS / f"{peer}.txt").read_text().splitlines()
    assert [line for line in lines if line.count("==") != 1 or "://" in line] == []
    assert environments.version(peer) in lines[0]


def test_every_jar_is_pinned_with_its_digest() -> None:
    pins = tomllib.loads((REQUIREMENTS / "jars.toml").read_text())
    assert sorted(pins) == ["flink", "kafka-streams", "spark"]
    assert environments.version("kafka-streams") == "4.1.0"
    bad = [name for jars in pins.values() for name, digest in jars.items() if len(bytes.fromhex(digest)) != 32]
    assert bad == []


def test_a_package_that_pip_cannot_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "some.txt").write_text("./there-is-no-such.whl\n")
    with pytest.raises(MissingError, match=r"pip can't install it: .*there-is-no-such"):
        environments.python("some")


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "some.txt").write_text("")
    python = environments.python("some")
    made = (python.parents[1] / "made").stat().st_mtime_ns
    assert environments.python("some") == python
    assert (python.parents[1] / "made").stat().st_mtime_ns == made
    (tmp_path / "some.txt").write_text("# another\n")
    assert environments.python("some") != python


def test_without_java_the_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="there is no java in JAVA_HOME or on the PATH"):
        environments.java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="JAVA_HOME has no javac"):
        environments.java("javac")


def test_without_a_network_the_jar_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(MissingError, match=r"flink-sql-connector-kafka-5\.0\.0-2\.2\.jar can't be downloaded"):
        environments.jars("flink")


def test_another_file_than_the_pinned_one_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "some.jar"
    path.write_bytes(b"right")
    environments.verify(path, hashlib.sha256(b"right").hexdigest())
    path.write_bytes(b"wrong")
    with pytest.raises(MissingError, match=r"some\.jar isn't the file"):
        environments.verify(path, hashlib.sha256(b"right").hexdigest())
    assert not path.exists()
