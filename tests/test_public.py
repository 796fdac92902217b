"""The public interface: what is named is there, and importing it is cheap and starts nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tickertape

SOURCE = Path(tickertape.__file__)
LOOK = """
import sys, threading, time
began = time.process_time()
import tickertape
used = time.process_time() - began
heavy = {"numpy", "faust", "aiokafka", "kafka", "msgspec", "pyarrow"} & sys.modules.keys()
print(used < 0.3, sorted(heavy), threading.active_count())
"""


def test_every_name_is_there_and_sorted() -> None:
    assert len(set(tickertape.__all__)) == len(tickertape.__all__)
    for name in tickertape.__all__:
        assert getattr(tickertape, name) is not None, name
    assert set(tickertape.__all__) <= set(dir(tickertape))
    assert tickertape.__version__


def test_checkers_of_types_see_the_same_names() -> None:
    (checked,) = (node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == set(tickertape.__all__)


def test_a_name_that_is_not_there_is_told_of() -> None:
    with pytest.raises(AttributeError, match="module 'tickertape' has no attribute 'nothing'"):
        tickertape.nothing  # noqa: B018 - it is looked up


def test_to_import_it_is_cheap_and_starts_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    assert done.stdout.split(maxsplit=1) == ["True", "[] 1\n"]
