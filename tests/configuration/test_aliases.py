"""What a text names by other names than cashtags, and what is said of a table that is wrong."""

from pathlib import Path

import pytest

from tickertape.stream.configuration.aliases import Aliases
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings, load
from tickertape.stream.errors import ConfigError

TABLE = {
    "AAPL": ["apple", "iphone", "Tim Cook"],
    "GPS": ["GAP"],
    "BTC-USD": ["bitcoin", "$btc", "btc"],
    "MARA": ["bitcoin miner"],
    "ORCL": ["c++ (oracle)"],
    "SPY": ["the fed"],
    "TLT": ["the fed"],
}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Apple sells an IPHONE to apple", ["AAPL"]),  # each once
        ("pineapple, apples, apple_pie", []),  # whole words
        ("(apple) #apple apple's", ["AAPL"]),
        ("tim cook", []),  # with a capital only as it is written
        ("Tim Cook", ["AAPL"]),
        ("mind the gap", []),
        ("buy GAP.", ["GPS"]),
        ("a bitcoin miner", ["MARA"]),  # the longest
        ("a bitcoin mine", ["BTC-USD"]),
        ("$BTC", ["BTC-USD"]),
        ("all of C++ (Oracle)!", ["ORCL"]),  # taken letter by letter
        ("The Fed", ["SPY", "TLT"]),
        ("\u0130stanbul loves Tim Cook", ["AAPL"]),  # a capital whose small letter is two
        ("", []),
    ],
)
def test_what_a_text_names(text: str, named: list[str]) -> None:
    assert Aliases(TABLE).named(text) == named


def test_a_cashtag_names_its_letters_unless_it_is_an_alias() -> None:
    aliases = Aliases(TABLE | {"ETH-USD": ["$ETH"]})
    assert aliases.named("and an iphone", ["FB", "BTC", "ETH", "AAPL"]) == ["FB", "BTC-USD", "ETH-USD", "AAPL"]
    assert Aliases({}).named("apple", ["FB", "FB", "AAPL"]) == ["FB", "AAPL"]


def test_a_file_of_them_and_a_table_among_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "aliases.toml"
    path.write_text('AAPL = ["apple", "iphone"]\n"BRK.B" = ["berkshire"]\n')
    held = {"AAPL": ["apple", "iphone"], "BRK.B": ["berkshire"]}
    assert load({"TICKERTAPE_ALIASES": str(path)}).aliases == held
    config = tmp_path / "tickertape.toml"
    config.write_text('[aliases]\nAAPL = ["apple"]\n')
    assert load({"TICKERTAPE_CONFIG": str(config)}).aliases == {"AAPL": ["apple"]}
    assert load({"TICKERTAPE_CONFIG": str(config), "TICKERTAPE_ALIASES": str(path)}).aliases == held
    assert load({"TICKERTAPE_ALIASES": ""}).aliases == {}


def test_a_worker_is_handed_what_its_supervisor_has_read() -> None:
    settings = Settings(aliases=TABLE)
    assert load({k: v for k, v in environment(settings).items() if k.startswith("TICKERTAPE_")}).aliases == TABLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("AAPL = ", "Invalid value"),
        ('AAPL = "apple"', "Expected `array`, got `str`"),
        ("AAPL = []", "length >= 1"),
        ('AAPL = [" "]', "regex"),
        ('"A|B" = ["apple"]', "regex"),
        ('all = ["apple"]', "regex"),
    ],
)
def test_a_table_that_is_wrong_is_told_of_with_its_place(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "aliases.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"aliases\.toml") as caught:
        load({"TICKERTAPE_ALIASES": str(path)})
    assert message in str(caught.value)


def test_other_aliases_are_another_epoch() -> None:
    one = Settings(aliases={"AAPL": ["apple", "iphone"], "FB": ["facebook"]}).epoch
    assert one != Settings().epoch == "1000-5000"
    assert one == Settings(aliases={"FB": ["facebook"], "AAPL": ["iphone", "apple"]}).epoch
    assert one != Settings(aliases={"AAPL": ["apple"], "FB": ["facebook"]}).epoch
