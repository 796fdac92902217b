"""Mentions compared with their baseline: how unusual a window is for its symbol."""

import numpy as np
from msgspec import Struct

from tickertape.agents.social.chatter import CHATTER
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Recursion

# The span of the baseline in windows: an hour of minutes, or two and a half days of hours.
SPAN = 60
ALPHA = 2 / (SPAN + 1)
# Results are published once the baseline has so many windows.
WARM = 20


class Mentions(Struct, frozen=True, tag_field="kind", tag="mentions"):
    """A window's mentions compared with the windows before it, as JSON on the topic ``indicators``.

    The baseline is the exponentially weighted mean and variance of the mentions x of the windows before this one [1]_:
    ``mean = mean + a · (x − mean)`` and ``variance = (1 − a) · (variance + a · (x − mean)²)``, with a = 2 / 61. Windows
    without posts count as zeros, though they have no result. The baseline begins with a symbol's first window, and
    results with the twentieth window after it.

    Attributes
    ----------
    symbol, source, resolution
        The window's series.
    start_ms
        The start of the window: event time since 1970 UTC.
    mentions
        The number of posts in the window that name the symbol.
    copy_share
        The share of copies among these posts: a burst may be a single text.
    baseline
        The weighted mean of the mentions in the windows before.
    deviation
        The square root of the weighted variance of these mentions.
    z_score
        (mentions − baseline) / deviation, with a deviation of at least one mention. Otherwise a single post after a
        long silence would be a burst.
    final
        True.
    revision
        The number of posts in all windows up to this one.
    incomplete
        True while missing posts still affect the baseline.

    References
    ----------
    .. [1] Finch (2009), "Incremental calculation of weighted mean and variance", section 9.
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    mentions: int
    copy_share: float
    baseline: float
    deviation: float
    z_score: float
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, windows: Columns) -> Columns:
    mentions, passed = windows["mentions"], windows["passed"]
    # Mean and mean square decay by so many zeros in a row.
    fade = (1 - ALPHA) ** np.maximum(passed - 1, 0)
    baseline = state["mean"] * fade
    variance = np.maximum((state["variance"] + state["mean"] ** 2) * fade - baseline**2, 0)
    state["n"] += passed
    first = state["n"] == 0
    off = np.where(first, 0.0, mentions - baseline)
    state["mean"][:] = np.where(first, mentions, baseline + ALPHA * off)
    state["variance"][:] = (1 - ALPHA) * (variance + ALPHA * off**2)
    deviation = np.sqrt(variance)
    made = {"baseline": baseline, "deviation": deviation, "z_score": off / np.maximum(deviation, 1)}
    return {name: np.where(state["n"] >= WARM, column, np.nan) for name, column in made.items()}


MENTIONS = Recursion(
    of=CHATTER,
    takes=("mentions", "copy_share"),
    state={"n": (INT, 0), "mean": (FLOAT, 0.0), "variance": (FLOAT, 0.0)},
    step=step,
    sink=INDICATORS,
    result=Mentions,
    # After so many windows, a window's weight is below a billionth: (1 - a) ** 640 < 1e-9.
    memory=640,
    resolutions=("1m", "5m", "1h"),
)
