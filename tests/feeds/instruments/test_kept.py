"""A source's list is kept for a day, and there is one at any time."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from tests.feeds.rest import Rest, products, refuses
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.instruments import kept as module
from tickertape.stream.feeds.instruments.kept import Listing, kept, listing_of, path_of


def symbols(listing: Listing) -> list[str]:
    return [one.symbol for one in listing.instruments]


def age(seconds: float) -> None:
    """Make the kept list older."""
    path = path_of("coinbase")
    found = msgspec.json.decode(path.read_bytes(), type=Listing)
    older = msgspec.structs.replace(found, fetched_ms=found.fetched_ms - int(seconds * 1000))
    path.write_bytes(msgspec.json.encode(older))


def test_a_list_is_kept_for_a_day(rest: Rest) -> None:
    rest.answers = [products("BTC-USD"), products("NEW-USD")]
    first = listing_of("coinbase", rest.url)
    assert first.is_own
    assert first.origin.startswith("its list of 20")
    assert first.origin.endswith(f" UTC, from {rest.url}")
    age(23.9 * 3600)
    assert symbols(listing_of("coinbase", rest.url)) == ["BTC-USD"]
    assert len(rest.asked) == 1
    age(0.2 * 3600)
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    assert len(rest.asked) == 2
    # What is kept is all of it.
    rest.answers = [products("BTC-USD", quote_increment="0.01", post_only=True)]
    age(25 * 3600)
    fetched = listing_of("coinbase", rest.url)
    assert kept("coinbase") == fetched
    assert (fetched.instruments[0].tick, fetched.instruments[0].source_status) == ("0.01", "online, post_only")


def test_a_list_of_tomorrow_is_fetched_again(rest: Rest) -> None:
    rest.answers = [products("BTC-USD"), products("NEW-USD")]
    listing_of("coinbase", rest.url)
    # The clock was wrong, or is.
    age(-3600)
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]


@pytest.mark.parametrize("answer", [refuses(429), refuses(418), refuses(451), refuses(503), b"", b"{}", b"[" * 100_000])
def test_where_it_cant_be_had_the_one_of_before_serves(
    rest: Rest, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    rest.answers = [products("NEW-USD"), answer]
    listing_of("coinbase", rest.url)
    age(90 * 24 * 3600)
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    (message,) = caplog.messages
    assert message.startswith(f"coinbase: can't fetch its list of instruments from {rest.url} (")
    assert f"); using its list of {time.gmtime().tm_year}" in message


def test_with_no_list_the_built_in_one_serves(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    rest.answers = [refuses(451)]
    found = listing_of("coinbase", rest.url)
    assert not found.is_own
    assert {"BTC-USD", "ETH-EUR"} <= set(symbols(found))
    assert caplog.messages == [
        f"coinbase: can't fetch its list of instruments from {rest.url} (HTTP 451 Unavailable For Legal Reasons); "
        "using the built-in list of its main pairs"
    ]
    assert not path_of("coinbase").exists()


def test_without_an_address_nothing_is_requested(rest: Rest) -> None:
    assert not listing_of("coinbase", "").is_own
    rest.answers = [products("NEW-USD")]
    listing_of("coinbase", rest.url)
    age(90 * 24 * 3600)
    assert symbols(listing_of("coinbase", "")) == ["NEW-USD"]
    assert len(rest.asked) == 1


def test_the_list_of_another_address_is_not_used(rest: Rest) -> None:
    rest.answers = [products("NEW-USD"), products("OTHER-USD"), refuses(503)]
    listing_of("coinbase", rest.url)
    assert symbols(listing_of("coinbase", f"{rest.url}?country=us")) == ["OTHER-USD"]
    assert not listing_of("coinbase", rest.url).is_own


@pytest.mark.parametrize("content", [b"{", b"null", b"{}", b"[" * 100_000, b"\x00" * 100])
def test_a_kept_list_that_is_broken_is_fetched_again(rest: Rest, content: bytes) -> None:
    rest.answers = [products("NEW-USD")]
    listing_of("coinbase", rest.url)
    path_of("coinbase").write_bytes(content)
    assert kept("coinbase") is None
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    # Half of one, too.
    whole = path_of("coinbase").read_bytes()
    path_of("coinbase").write_bytes(whole[: len(whole) // 2])
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    assert len(rest.asked) == 3


def test_the_list_of_another_source_under_this_name_is_none(rest: Rest) -> None:
    rest.answers = [products("NEW-USD")]
    listing_of("coinbase", rest.url)
    path_of("kraken").write_bytes(path_of("coinbase").read_bytes())
    assert kept("kraken") is None


def test_where_it_cant_be_kept_it_serves_all_the_same(
    rest: Rest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rest.answers = [products("NEW-USD")]
    # The folder's name is taken by a file, as an administrator can write to any folder.
    (tmp_path / "tickertape").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    budget, message = caplog.messages
    assert budget.startswith("the budget of 127.0.0.1 isn't shared with other feeds: ")
    assert message.startswith("coinbase: can't keep its list of instruments (")
    assert message.endswith("); it is fetched again next time")


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may write anywhere")
def test_a_folder_without_the_right_to_write_is_no_hindrance(
    rest: Rest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rest.answers = [products("NEW-USD")]
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]
    assert "can't keep its list" in caplog.text


def test_a_write_that_fails_leaves_the_old_file_and_no_other(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    rest.answers = [products("NEW-USD"), products("NEWER-USD")]
    listing_of("coinbase", rest.url)
    age(25 * 3600)
    before = path_of("coinbase").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert symbols(listing_of("coinbase", rest.url)) == ["NEWER-USD"]
    assert path_of("coinbase").read_bytes() == before
    assert os.listdir(path_of("coinbase").parent) == ["coinbase.json"]


KEEP = """
import sys
from tickertape.stream.feeds.instruments.kept import listing_of
for _ in range(30):
    assert listing_of("coinbase", sys.argv[1], fresh_seconds=-1).is_own
"""


def test_two_processes_at_once_leave_a_whole_list(rest: Rest) -> None:
    rest.answers = [products(*(f"A{number}-USD" for number in range(500)))]
    processes = [subprocess.Popen([sys.executable, "-c", KEEP, rest.url]) for _ in range(2)]
    seen = 0
    while any(process.poll() is None for process in processes):
        if path_of("coinbase").exists():
            found = kept("coinbase")
            assert found is not None
            assert len(found.instruments) == 500
            seen += 1
    assert [process.wait() for process in processes] == [0, 0]
    assert seen > 10
    assert os.listdir(path_of("coinbase").parent) == ["coinbase.json"]


def test_two_threads_at_once_leave_a_whole_list(rest: Rest) -> None:
    rest.answers = [products("BTC-USD")]
    threads = [threading.Thread(target=listing_of, args=("coinbase", rest.url, -1.0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(path_of("coinbase").parent) == ["coinbase.json"]


def test_no_home_is_no_hindrance(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(module.Path, "home", homeless)
    rest.answers = [products("NEW-USD")]
    assert symbols(listing_of("coinbase", rest.url)) == ["NEW-USD"]


def test_an_unknown_source_is_told() -> None:
    for url in ("", "http://127.0.0.1:9/"):
        with pytest.raises(ConfigError, match="nasdaq: no list of instruments is known"):
            listing_of("nasdaq", url)
