"""Fails unless the Tickertape that is installed has the hot path compiled. The release runs it for each wheel."""

import sys

from tickertape.stream.compiled.library import path_taken

if path_taken() != "compiled":
    sys.exit(path_taken())
