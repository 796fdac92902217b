"""Fails unless the Tickertape that is installed is whole: with the compiled hot path, and with the console's page.

The release runs it for each wheel.
"""

import sys

from tickertape.stream.compiled.library import path_taken
from tickertape.stream.console import assets

if path_taken() != "compiled":
    sys.exit(path_taken())
if not {"index.html", "script/main.js", "style/base.css", assets.CHARTS} <= set(assets.load()):
    sys.exit("the page lacks files")
