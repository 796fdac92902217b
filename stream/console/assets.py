"""What the server sends to a browser: the page's own files, and the chart library out of the wheel ``litecharts``."""

import gzip
from base64 import b64encode
from hashlib import sha256
from importlib.metadata import distribution
from importlib.resources import files
from importlib.resources.abc import Traversable

from msgspec import Struct

from tickertape.stream.console import bundle
from tickertape.stream.errors import ConfigError

# Lightweight Charts 5.1.0 of TradingView, Apache-2.0.
CHARTS = "script/lightweight-charts.js"
CHARTS_SHA256 = "756b0ba9f58930226d6b8b9d47ad310448ab85d799ea1f7c2c02304777c10b52"
# The library adds one style element, for its logo. Its text, which the policy allows by its hash.
CHARTS_STYLE = (
    "a#tv-attr-logo{--fill:#131722;--stroke:#fff;position:absolute;left:10px;bottom:10px;height:19px;width:35px;"
    "margin:0;padding:0;border:0;z-index:3;}a#tv-attr-logo[data-dark]{--fill:#D1D4DC;--stroke:#131722;}"
)
NOTICES = "notices.txt"
# What the page's source names, and what takes its place.
MODULE, SCRIPT = "script/main.js", "script/all.js"
SHEET = "style/all.css"

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}


class Asset(Struct, frozen=True):
    """A file as it is sent.

    Attributes
    ----------
    media_type
        Its type, with the character set.
    plain, zipped
        Its bytes, and the same as gzip.
    tag
        The ETag, which changes with the bytes.
    """

    media_type: str
    plain: bytes
    zipped: bytes
    tag: str


def load() -> dict[str, Asset]:
    """Return all files by their path; ``index.html`` is the page.

    Raises
    ------
    ConfigError
        The installed chart library isn't the one that the page was written for.
    """
    found = dict(_walk(files(__package__) / "page"))
    charts = (files("litecharts") / "js" / "lightweight-charts.js").read_bytes()
    if sha256(charts).hexdigest() != CHARTS_SHA256:
        raise ConfigError("the package litecharts has another chart library than expected: install litecharts 0.2.0")
    found[SCRIPT] = bundle.script(found, MODULE)
    found["index.html"], found[SHEET] = bundle.page(found, "index.html", (MODULE, SCRIPT), SHEET)
    found[CHARTS] = charts
    found[NOTICES] = _notices(charts)
    return {path: _asset(path, content) for path, content in found.items() if path.rpartition(".")[2] in _TYPES}


def policy() -> str:
    """Return the Content-Security-Policy: nothing from another host, and no code or style but the files' own."""
    style = b64encode(sha256(CHARTS_STYLE.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'sha256-{style}'",
            "img-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _asset(path: str, content: bytes) -> Asset:
    return Asset(
        _TYPES[path.rpartition(".")[2]],
        content,
        gzip.compress(content, mtime=0),
        f'"{sha256(content).hexdigest()[:20]}"',
    )


def _notices(charts: bytes) -> bytes:
    """Return the licences of what the page contains: the library's own heading, its notice, and the wheel's licence."""
    heading = charts[: charts.index(b"*/") + 2].decode()
    wheel = distribution("litecharts")
    licence = next((file for file in wheel.files or () if file.name == "LICENSE"), None)
    return "\n\n".join(
        (
            "The console draws charts with this library:",
            heading,
            # The text of the library's file NOTICE.
            "TradingView Lightweight Charts™\nCopyright (c) 2025 TradingView, Inc. https://www.tradingview.com/",
            f"It comes in the package litecharts {wheel.version}, whose wrapper has this licence:",
            "" if licence is None else licence.read_text(),
        )
    ).encode()
