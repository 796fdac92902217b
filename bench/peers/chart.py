"""A bar chart as SVG, for light and dark pages."""

from collections.abc import Sequence
from html import escape

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 760, 200, 90
BAR_HEIGHT, GAP, TOP = 18, 10, 34
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.bar{fill:#8c959f}.ours{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#6e7681}.ours{fill:#4493f8}}"
)


def svg(title: str, bars: Sequence[tuple[str, float]], ours: str = "Tickertape") -> str:
    """Return a chart with a horizontal bar for each name and value, from zero on, and the values beside them."""
    height = TOP + len(bars) * (BAR_HEIGHT + GAP)
    most = max((value for _, value in bars), default=1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LABEL_WIDTH}" y="18">{escape(title)}</text>',
    ]
    for i, (name, value) in enumerate(bars):
        y = TOP + i * (BAR_HEIGHT + GAP)
        length = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) * value / most
        kind = "bar ours" if name.startswith(ours) else "bar"
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{y + 13}">{value:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
