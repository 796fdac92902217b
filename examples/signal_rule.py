"""A rule and its signals: the close of a second rises above 102, and again only after a fall below 101.

Rules are in a TOML file, which workers read if TICKERTAPE_SIGNALS=rules.toml is set. docs/signals.md explains them.
Run it: python examples/signal_rule.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from tickertape import TRADE_BARS, Settings, Trade
from tickertape.agents.signals import RULES
from tickertape.testing import run

RULE = """
[[rule]]
name = "breakout"
when = "threshold"
on = "bars"
field = "close"
above = 102
rearm = 101
resolutions = ["1s"]
"""

if __name__ == "__main__":
    common = {"symbol": "BTC-USD", "source": "sim", "quantity": 1.0, "side": "buy"}
    prices = (100.0, 103.0, 104.0, 100.0, 105.0)
    start_ms = 1_700_000_000_000
    trades = [Trade(id=n, time_ms=start_ms + 1000 * n, price=price, **common) for n, price in enumerate(prices)]
    with TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.toml"
        rules.write_text(RULE)
        outcome = run(trades, TRADE_BARS, RULES, settings=Settings(signals=str(rules)))
    for one in outcome.results["signals/breakout"]:
        print(one.rule, one.source, one.start_ms - start_ms, one.value, one.final)
