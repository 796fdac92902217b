"""The setting `indicators`: what it turns on, and what is said of a mistake."""

import pytest

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.stream.configuration.settings import Settings, load
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Recursions
from tickertape.stream.errors import ConfigError


def turned_on(text: str, **others: object) -> dict[str, list[str]]:
    """Return the kinds that a text turns on, by resolution."""
    recipes = configured(Settings(indicators=text, **others)).recipes  # type: ignore[arg-type]  # as there
    return {
        one.resolution: [member.output.kind for member in one.members] for one in recipes if isinstance(one, Recursions)
    }


def test_by_default_none_is_on() -> None:
    assert turned_on("") == turned_on(" ;\n") == {}


def test_several_of_one_kind_on_the_bars_that_are_named() -> None:
    assert turned_on("ema(12); ema(26)@1m; rsi(14)@1m,1h\nmacd@1h") == {
        "1m": ["ema_12", "ema_26", "rsi_14"],
        "5m": ["ema_12"],
        "15m": ["ema_12"],
        "1h": ["ema_12", "rsi_14", "macd_12_26_9"],
    }


def test_parameters_that_are_left_out_are_the_usual_ones() -> None:
    assert turned_on("sma@1m; stoch(14)@1m; sar@1m; bbands(20, 2.5) @ 1m; ema( 9 , tradingview )@1m; obv@1m") == {
        "1m": ["sma_30", "stoch_14_3_3", "sar_0.02_0.2", "bbands_20_2.5", "ema_9_tradingview", "obv"]
    }


def test_the_mode_of_talib_is_the_usual_one() -> None:
    assert turned_on("rsi(14, talib)@1m") == {"1m": ["rsi_14"]}


def test_bars_of_other_resolutions_may_be_named() -> None:
    resolutions = {"bars": ["1s", "4h"]}
    assert turned_on("sma(20)@4h", resolutions=resolutions) == {"4h": ["sma_20"]}
    # It has none of the usual ones, so all are taken.
    assert turned_on("sma(20)", resolutions=resolutions) == {"1s": ["sma_20"], "4h": ["sma_20"]}


def test_it_is_read_from_the_environment() -> None:
    settings = load({"TICKERTAPE_INDICATORS": "macd(12,26,9); rsi(14)@1m,1h"})
    assert settings.indicators == "macd(12,26,9); rsi(14)@1m,1h"


def test_what_is_turned_on_follows_the_bars_of_the_pipeline() -> None:
    agents = configured(Settings(indicators="sma", resolutions={"bars": ["1m"]}))
    (bars,) = [one for one in agents.windowings if one.output.name == "bars"]
    assert [one.of for one in agents.recipes if isinstance(one, Recursions)] == [bars]
    assert bars is not TRADE_BARS


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("smaa(2)", "smaa(2): no such indicator; there are adx, aroon, atr, bbands, cci, dema, ema, kama, macd, mfi, "),
        ("sma(0)", "sma(0): period is 0, but must be from 1 to 1000"),
        ("sma(1001)", "sma(1001): period is 1001, but must be from 1 to 1000"),
        ("sma(2.5)", "sma(2.5): '2.5' isn't a whole number"),
        ("ema(x)", "ema(x): 'x' isn't a whole number, or one of the modes talib, tradingview"),
        ("sar(x)", "sar(x): 'x' isn't a number"),
        ("sar(nan)", "sar(nan): acceleration is nan, but must be from 0 to 1"),
        ("sma(2,3)", "sma(2,3): too many parameters; it takes period"),
        ("ema(3,foo)", "ema(3,foo): too many parameters; it takes period, and a mode: talib, tradingview"),
        ("obv(3)", "obv(3): too many parameters; it takes none"),
        ("ema(tradingview,3)", "ema(tradingview,3): write the mode once, after the parameters"),
        ("macd(26,12)", "macd(26,12): the fast period is 26, but must be less than the slow one, 12"),
        ("rsi(14)@7m", "rsi(14)@7m: bars has no resolution '7m'; it has 1s, 1m, 5m, 15m, 1h"),
        (
            "rsi(14), sma",
            "rsi(14), sma: not understood; write name(parameters)@resolutions, as in rsi(14)@1m,1h",
        ),
        ("rsi; rsi(14)@1h", "rsi(14)@1h: rsi_14 is there twice: keep one, with all resolutions, as in rsi(14)@1m,1h"),
    ],
)
def test_a_mistake_is_one_clear_line(text: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as error:
        configured(Settings(indicators=text))
    assert str(error.value).startswith(f"setting: indicators: {wrong}")
    assert str(error.value).endswith("; see docs/indicators.md")
    assert "\n" not in str(error.value)
