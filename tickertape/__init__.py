"""Tickertape: rolling metrics of markets and social media on Kafka, exact, in Python.

The names of this module and of `tickertape.testing` are the public interface. Everything else may change between any
two versions. A name is loaded on first use, so importing the package is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickertape.agents.market.bars import TRADE_BARS, Bar
    from tickertape.agents.market.quote_bars import QUOTE_BARS, QuoteBar
    from tickertape.agents.market.quotes import QUOTE_SLICES
    from tickertape.agents.market.trades import TRADE_SLICES
    from tickertape.agents.social.chatter import CHATTER, Chatter
    from tickertape.agents.social.posts import POST_SLICES
    from tickertape.schemas.alert import Alert
    from tickertape.schemas.book import Depth
    from tickertape.schemas.events import Event
    from tickertape.schemas.heartbeat import Heartbeat
    from tickertape.schemas.instrument import Instrument
    from tickertape.schemas.liquidation import Liquidation
    from tickertape.schemas.perpetual import Perpetual
    from tickertape.schemas.post import Post
    from tickertape.schemas.quote import Quote
    from tickertape.schemas.topics import Topic
    from tickertape.schemas.trade import Trade
    from tickertape.stream.alerts.define.channel import Channel
    from tickertape.stream.alerts.define.http import Answer, Http
    from tickertape.stream.alerts.define.message import Message, NotSent, Refused
    from tickertape.stream.configuration.connection import Secret
    from tickertape.stream.configuration.settings import Settings
    from tickertape.stream.engine.core.columns import Floats, Ints, flags, floats, ints
    from tickertape.stream.engine.core.records import Records
    from tickertape.stream.engine.core.table import Columns, Schema
    from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Reducer, Steps, Sum
    from tickertape.stream.engine.define.indicator import Formula, Indicator, Parameter
    from tickertape.stream.engine.define.recipes import Recursion, Rolling, Signals, Slicing, Windowing
    from tickertape.stream.engine.define.sketches import Distinct, Frequent
    from tickertape.stream.errors import (
        AccessError,
        BrokerError,
        ConfigError,
        DatabaseError,
        InputError,
        TickertapeError,
    )
    from tickertape.stream.export.define.database import Database, Unavailable, Writer
    from tickertape.stream.export.define.table import Column, Row, Table
    from tickertape.stream.feeds.define.archive import Archive
    from tickertape.stream.feeds.define.book_rule import BookRule
    from tickertape.stream.feeds.define.change import Change
    from tickertape.stream.feeds.define.feed import Feed
    from tickertape.stream.feeds.define.format import Format
    from tickertape.stream.feeds.define.names import UnknownSymbol
    from tickertape.stream.feeds.define.other import Other
    from tickertape.stream.feeds.define.page import Page
    from tickertape.stream.feeds.define.registry import load as load_settings
    from tickertape.stream.feeds.define.source import Source
    from tickertape.stream.feeds.define.stream import Answer as StreamAnswer
    from tickertape.stream.feeds.define.stream import Stream
    from tickertape.stream.feeds.hosts.limit import Busy, Limit, Limits
    from tickertape.stream.results.read import read
    from tickertape.stream.results.stream import Results, results

_ENGINE = "tickertape.stream.engine"
# The public names, by the module that defines them.
_PLACES = {
    "tickertape.agents.market.bars": ("Bar", "TRADE_BARS"),
    "tickertape.agents.market.quote_bars": ("QUOTE_BARS", "QuoteBar"),
    "tickertape.agents.market.quotes": ("QUOTE_SLICES",),
    "tickertape.agents.market.trades": ("TRADE_SLICES",),
    "tickertape.agents.social.chatter": ("CHATTER", "Chatter"),
    "tickertape.agents.social.posts": ("POST_SLICES",),
    "tickertape.schemas.alert": ("Alert",),
    "tickertape.schemas.book": ("Depth",),
    "tickertape.schemas.events": ("Event",),
    "tickertape.schemas.heartbeat": ("Heartbeat",),
    "tickertape.schemas.instrument": ("Instrument",),
    "tickertape.schemas.liquidation": ("Liquidation",),
    "tickertape.schemas.perpetual": ("Perpetual",),
    "tickertape.schemas.post": ("Post",),
    "tickertape.schemas.quote": ("Quote",),
    "tickertape.schemas.topics": ("Topic",),
    "tickertape.schemas.trade": ("Trade",),
    "tickertape.stream.alerts.define.channel": ("Channel",),
    "tickertape.stream.alerts.define.http": ("Answer", "Http"),
    "tickertape.stream.alerts.define.message": ("Message", "NotSent", "Refused"),
    "tickertape.stream.configuration.connection": ("Secret",),
    "tickertape.stream.configuration.settings": ("Settings",),
    f"{_ENGINE}.core.columns": ("Floats", "Ints", "flags", "floats", "ints"),
    f"{_ENGINE}.core.records": ("Records",),
    f"{_ENGINE}.core.table": ("Columns", "Schema"),
    f"{_ENGINE}.define.aggregate": ("FLOAT", "INT", "Aggregate", "Extreme", "Reducer", "Steps", "Sum"),
    f"{_ENGINE}.define.indicator": ("Formula", "Indicator", "Parameter"),
    f"{_ENGINE}.define.recipes": ("Recursion", "Rolling", "Signals", "Slicing", "Windowing"),
    f"{_ENGINE}.define.sketches": ("Distinct", "Frequent"),
    "tickertape.stream.errors": (
        "AccessError",
        "BrokerError",
        "Busy",
        "ConfigError",
        "DatabaseError",
        "InputError",
        "TickertapeError",
    ),
    "tickertape.stream.export.define.database": ("Database", "Unavailable", "Writer"),
    "tickertape.stream.export.define.table": ("Column", "Row", "Table"),
    "tickertape.stream.feeds.define.archive": ("Archive",),
    "tickertape.stream.feeds.define.book_rule": ("BookRule",),
    "tickertape.stream.feeds.define.change": ("Change",),
    "tickertape.stream.feeds.define.feed": ("Feed",),
    "tickertape.stream.feeds.define.format": ("Format",),
    "tickertape.stream.feeds.define.names": ("UnknownSymbol",),
    "tickertape.stream.feeds.define.other": ("Other",),
    "tickertape.stream.feeds.define.page": ("Page",),
    "tickertape.stream.feeds.define.source": ("Source",),
    "tickertape.stream.feeds.define.stream": ("Stream",),
    "tickertape.stream.feeds.hosts.limit": ("Busy", "Limit", "Limits"),
    "tickertape.stream.results.read": ("read",),
    "tickertape.stream.results.stream": ("Results", "results"),
}
_HOME = {name: (module, name) for module, names in _PLACES.items() for name in names} | {
    "load_settings": ("tickertape.stream.feeds.define.registry", "load"),
    "StreamAnswer": ("tickertape.stream.feeds.define.stream", "Answer"),
}

__all__ = [
    "CHATTER",
    "FLOAT",
    "INT",
    "POST_SLICES",
    "QUOTE_BARS",
    "QUOTE_SLICES",
    "TRADE_BARS",
    "TRADE_SLICES",
    "AccessError",
    "Aggregate",
    "Alert",
    "Answer",
    "Archive",
    "Bar",
    "BookRule",
    "BrokerError",
    "Busy",
    "Change",
    "Channel",
    "Chatter",
    "Column",
    "Columns",
    "ConfigError",
    "Database",
    "DatabaseError",
    "Depth",
    "Distinct",
    "Event",
    "Extreme",
    "Feed",
    "Floats",
    "Format",
    "Formula",
    "Frequent",
    "Heartbeat",
    "Http",
    "Indicator",
    "InputError",
    "Instrument",
    "Ints",
    "Limit",
    "Limits",
    "Liquidation",
    "Message",
    "NotSent",
    "Other",
    "Page",
    "Parameter",
    "Perpetual",
    "Post",
    "Quote",
    "QuoteBar",
    "Records",
    "Recursion",
    "Reducer",
    "Refused",
    "Results",
    "Rolling",
    "Row",
    "Schema",
    "Secret",
    "Settings",
    "Signals",
    "Slicing",
    "Source",
    "Steps",
    "Stream",
    "StreamAnswer",
    "Sum",
    "Table",
    "TickertapeError",
    "Topic",
    "Trade",
    "Unavailable",
    "UnknownSymbol",
    "Windowing",
    "Writer",
    "flags",
    "floats",
    "ints",
    "load_settings",
    "read",
    "results",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tickertape")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
