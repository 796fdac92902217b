import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feeds.rest import Rest
from tickertape.stream.feeds.instruments import names


@pytest.fixture(autouse=True)
def _no_list_of_pairs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have no list of the real exchange's, here and in processes that are started, and ask for none."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setitem(os.environ, "XDG_CACHE_HOME", str(home))
    monkeypatch.setitem(os.environ, "TICKERTAPE_BINANCE_INFO_URL", "")
    monkeypatch.setitem(os.environ, "TICKERTAPE_BINANCE_REFILL", "false")
    names.forget()
    yield home
    names.forget()


@pytest.fixture
def rest() -> Iterator[Rest]:
    found = Rest()
    with found.open():
        yield found
