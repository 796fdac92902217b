"""The indicators that the setting ``indicators`` turns on: ``sma(20); macd(12, 26, 9); rsi(14)@1m,1h``."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from tickertape.stream.engine.define.indicator import Indicator, Parameter
from tickertape.stream.engine.define.recipes import Recursion, Recursions, Windowing
from tickertape.stream.errors import ConfigError

_ITEM = re.compile(r"(\w+) *(?:\(([^()]*)\))? *(?:@ *(.*))?")
#: The resolutions of an indicator that names none.
RESOLUTIONS = ("1m", "5m", "15m", "1h")


def chosen(text: str, indicators: Sequence[Indicator], windowings: Sequence[Windowing]) -> list[Recursions]:
    """Return what a text turns on, together by the windows that are followed.

    Parameters
    ----------
    text
        The indicators, separated by semicolons or line breaks.
    indicators
        Those that can be turned on.
    windowings
        The windows of the pipeline, with the resolutions that the settings name.

    Raises
    ------
    ConfigError
        The text names what doesn't exist, or isn't understood.
    """
    known = {one.name: one for one in indicators}
    of = {one.output.name: one for one in windowings}
    found: dict[tuple[str, str, tuple[str, ...]], list[Recursion]] = {}
    kinds: set[str] = set()
    for item in filter(None, map(str.strip, re.split(r"[;\n]", text))):
        recursion = _recursion(item, known, of)
        if recursion.output.kind in kinds:
            _fail(item, f"{recursion.output.kind} is there twice: keep one, with all resolutions, as in rsi(14)@1m,1h")
        kinds.add(recursion.output.kind)
        for resolution in recursion.resolutions:
            found.setdefault((recursion.of.output.name, resolution, recursion.takes), []).append(recursion)
    return [Recursions(of[name], resolution, tuple(members)) for (name, resolution, _), members in found.items()]


def _recursion(item: str, known: dict[str, Indicator], of: dict[str, Windowing]) -> Recursion:
    match = _ITEM.fullmatch(item)
    if match is None:
        _fail(item, "not understood; write name(parameters)@resolutions, as in rsi(14)@1m,1h, and ; between indicators")
    name, given, at = match.groups()
    if name not in known:
        _fail(item, f"no such indicator; there are {', '.join(sorted(known)) or 'none'}")
    indicator = known[name]
    windowing = of[indicator.of.output.name]
    values, mode = _values(item, indicator, given or "")
    try:
        recursion = indicator.recursion(values, mode, _resolutions(item, windowing, at))
    except ValueError as error:
        _fail(item, str(error))
    return replace(recursion, of=windowing)


def _values(item: str, indicator: Indicator, given: str) -> tuple[list[float], str]:
    """Return the values of all parameters, and the mode."""
    texts = [part.strip() for part in given.split(",")] if given.strip() else []
    modes = [text for text in texts if text in indicator.modes]
    if len(modes) > 1 or (modes and texts[-1] != modes[0]):
        _fail(item, "write the mode once, after the parameters")
    texts = texts[:-1] if modes else texts
    parameters = indicator.parameters
    if len(texts) > len(parameters):
        _fail(item, f"too many parameters; it takes {_listed(indicator) or 'none'}")
    values = [_value(item, indicator, *one) for one in zip(parameters, texts, strict=False)]
    return [*values, *(parameter.default for parameter in parameters[len(texts) :])], modes[0] if modes else ""


def _value(item: str, indicator: Indicator, parameter: Parameter, text: str) -> float:
    try:
        value = int(text) if parameter.is_whole else float(text)
    except ValueError:
        modes = f", or one of the modes {', '.join(indicator.modes)}" if indicator.modes else ""
        _fail(item, f"{text!r} isn't {'a whole number' if parameter.is_whole else 'a number'}{modes}")
    if not parameter.least <= value <= parameter.most:
        _fail(item, f"{parameter.name} is {text}, but must be from {parameter.least:g} to {parameter.most:g}")
    return value


def _listed(indicator: Indicator) -> str:
    names = ", ".join(parameter.name for parameter in indicator.parameters)
    return f"{names}, and a mode: {', '.join(indicator.modes)}" if indicator.modes else names


def _resolutions(item: str, windowing: Windowing, at: str | None) -> tuple[str, ...]:
    names = windowing.resolutions
    if at is None:
        return tuple(name for name in RESOLUTIONS if name in names) or tuple(names)
    asked = tuple(dict.fromkeys(part.strip() for part in at.split(",")))
    for resolution in asked:
        if resolution not in names:
            _fail(item, f"{windowing.sink.name} has no resolution {resolution!r}; it has {', '.join(names)}")
    return asked


def _fail(item: str, wrong: str) -> NoReturn:
    raise ConfigError(f"setting: indicators: {item}: {wrong}; see docs/indicators.md")
