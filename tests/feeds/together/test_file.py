"""The file of feeds: what it says, what the settings say, and each mistake as one line with its place."""

from pathlib import Path

import msgspec
import pytest

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.names import UnknownSymbol
from tickertape.stream.feeds.together.file import read
from tickertape.stream.feeds.together.plan import Plan, of_arguments

EXAMPLE = Path(__file__).parents[3] / "docs" / "feeds.toml"
MARKETS = str(Path(__file__).parent / "markets")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "feeds.toml"


def plans(file: Path, text: str, settings: Settings | None = None, **environ: str) -> dict[str, Plan]:
    file.write_text(text)
    return {plan.source: plan for plan in read(file, settings or Settings(), environ)}


def test_the_example_of_the_docs() -> None:
    found = {plan.source: plan for plan in read(EXAMPLE, Settings(), {})}
    assert list(found) == ["binance", "kraken", "okxswap", "binance-aggregates", "bluesky"]
    assert [plan.feed.name for plan in found.values()] == ["binance", "kraken", "okxswap", "binance", "bluesky"]
    # What is shared, and what is a table's own.
    assert {plan.bundle_seconds for plan in found.values()} == {0.005}
    assert [plan.redundant for plan in found.values()] == [False, True, False, False, False]
    assert [found[name].settings.decimals for name in ("binance", "kraken", "binance-aggregates")] == [
        True,
        True,
        False,
    ]
    assert found["binance"].settings.channels == "trades quotes books"
    assert found["kraken"].settings.channels == "trades quotes"
    assert found["binance-aggregates"].spread == {"BTC-USDT": 4}
    assert list(found["okxswap"].symbols) == ["BTC-USDT-PERP"]
    assert list(found["bluesky"].symbols) == []
    # Each can be connected as it is.
    for plan in found.values():
        settings = plan.settings
        if hasattr(settings, "info_url"):
            settings = msgspec.structs.replace(settings, info_url="")
        assert Plan(plan.place, plan.feed, settings, plan.symbols, plan.source).connect().name == plan.source


def test_the_settings_hold_where_the_file_says_nothing(file: Path) -> None:
    settings = Settings(feeds={"kraken_url": "ws://a", "kraken_depth": "25", "binance_url": "ws://b"})
    text = '[feeds.kraken]\nsymbols = ["BTC-USD"]\nurl = "ws://c"\n'
    (kraken,) = plans(file, text, settings).values()
    assert (kraken.settings.url, kraken.settings.depth) == ("ws://c", 25)


def test_a_key_comes_from_elsewhere_and_is_not_shown(file: Path) -> None:
    (file.parent / "hidden").write_text("hush-2\n")
    text = '[feeds.alpaca]\nsymbols = ["AAPL"]\nkey_env = "DESK"\nsecret_file = "hidden"\n'
    (alpaca,) = plans(file, text, DESK="hush-1").values()
    assert (alpaca.settings.key, alpaca.settings.secret) == (Secret("hush-1"), Secret("hush-2"))
    assert "hush" not in repr(alpaca)
    # Or from the settings.
    settings = Settings(feeds={"alpaca_key": "hush-3", "alpaca_secret": "hush-4"})
    (alpaca,) = plans(file, '[feeds.alpaca]\nsymbols = ["AAPL"]\n', settings).values()
    assert alpaca.settings.key == Secret("hush-3")


BTC = 'symbols = ["BTC-USD"]'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[fedes.kraken]\n", "no key fedes; did you mean feeds?"),
        ("[shared]\nbundle = '5ms'\n", "it has no feed; write a table such as [feeds.binance], with symbols"),
        ("feeds = 3\n", "feeds: it must be a table"),
        ("[feeds]\nkraken = 3\n", "feeds.kraken: it must be a table"),
        (f"[feeds.krakn]\n{BTC}\n", "feeds.krakn: no feed is called krakn; did you mean kraken?"),
        (f"[feeds.k]\nfeed = 3\n{BTC}\n", "feeds.k: no feed is called 3; there are alpaca, binance"),
        (f"[feeds.kraken]\n{BTC}\nchanels = 'trades'\n", "feeds.kraken: no key chanels; did you mean channels?"),
        (f"[shared]\nchanels = 'x'\n[feeds.kraken]\n{BTC}\n", "shared: no key chanels; did you mean channels?"),
        (f"[shared]\ndecimals = 3\n[feeds.kraken]\n{BTC}\n", "shared: decimals: Expected `bool`, got `int`"),
        # Others may have it, but none of this file.
        (f"[shared]\nkey_env = 'x'\n[feeds.kraken]\n{BTC}\n", "shared: no key key_env; there are "),
        (f"[shared]\nsymbols = []\n[feeds.kraken]\n{BTC}\n", "shared: no key symbols; there are "),
        ("[feeds.kraken]\n", "feeds.kraken: symbols: kraken needs at least one symbol"),
        (f"[feeds.bluesky]\n{BTC}\n", "feeds.bluesky: symbols: bluesky takes no symbols"),
        ("[feeds.kraken]\nsymbols = 'BTC-USD'\n", "feeds.kraken: symbols: Expected `array`, got `str`"),
        (f"[feeds.kraken]\n{BTC}\nredundant = 1\n", "feeds.kraken: redundant: Expected `bool`, got `int`"),
        (f"[feeds.kraken]\n{BTC}\ndepth = '10'\n", "feeds.kraken: depth: Expected `int`, got `str`"),
        (f"[feeds.kraken]\n{BTC}\nbundle = '5'\n", "feeds.kraken: bundle: '5' is not a time of up to 1 s, for example"),
        (f"[feeds.kraken]\n{BTC}\nsource = 'all'\n", "feeds.kraken: source: 'all' is not a valid source name"),
        (f"[feeds.kraken]\n{BTC}\nspread = {{ BTC-USD = 0 }}\n", "feeds.kraken: spread: Expected `int` >= 1"),
        (
            f"[feeds.kraken]\n{BTC}\n[feeds.other]\nfeed = 'kraken'\n{BTC}\n",
            "feeds.other: source: another feed of the file is called kraken in records too",
        ),
        (
            '[feeds.alpaca]\nsymbols = ["AAPL"]\nkey = "hush"\n',
            "feeds.alpaca: key is a secret: write key_env or key_file instead",
        ),
        (
            '[feeds.alpaca]\nsymbols = ["AAPL"]\nkey_env = "NOWHERE"\n',
            "feeds.alpaca: key_env names NOWHERE, which isn't set",
        ),
        ('[feeds.alpaca]\nsymbols = ["AAPL"]\nkey_file = "nowhere"\n', "feeds.alpaca: key_file can't be read"),
        ("[feeds", "Expected ']' at the end of a table declaration"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(file: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        plans(file, text)
    assert str(raised.value).startswith(f"{file}: {told}")
    assert "\n" not in str(raised.value)
    assert "hush" not in str(raised.value)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"feeds\.toml: No such file or directory"):
        read(file, Settings())


@pytest.mark.parametrize(
    ("more", "told", "kind"),
    [
        ('symbols = ["BTC-USDZ"]', "feeds.binance: symbols: binance: no instrument 'BTC-USDZ' in ", UnknownSymbol),
        ('symbols = ["BTC-USDT"]\nchannels = "nix"', "feeds.binance: channels=nix: choose from trades", ConfigError),
        (
            'symbols = ["BTC-USDT"]\nurl = "http://x"',
            "feeds.binance: url: http://x",
            ConfigError,
        ),
    ],
)
def test_what_only_the_feed_knows_has_its_place_too(file: Path, more: str, told: str, kind: type[ConfigError]) -> None:
    (plan,) = plans(file, f'[feeds.binance]\ninfo_url = ""\n{more}\n').values()
    with pytest.raises(kind) as raised:
        plan.connect()
    assert str(raised.value).startswith(f"{file}: {told}")


def test_a_feed_that_a_command_names() -> None:
    settings = Settings(agents=[MARKETS], feeds={"lemon_url": "ws://x"})
    plan = of_arguments("lemon", ["BTC-USD"], settings)
    assert (plan.place, plan.source, plan.settings.url, list(plan.symbols)) == ("", "lemon", "ws://x", ["BTC-USD"])
    with pytest.raises(UnknownSymbol, match=r"^lemon: no pair BTC-EUR; all of"):
        plan.connect(["BTC-EUR"])
