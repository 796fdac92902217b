"""The command imports only what its subcommand needs: a worker has no memory for what reads files."""

import subprocess
import sys

LOOK = """
import sys
import tickertape.stream.command_line.cli
import tickertape.stream.cluster.worker
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
configured(Settings())
print(sorted({"faust", "pyarrow", "rich", "websockets"} & sys.modules.keys()))
"""


def test_a_worker_imports_nothing_that_only_other_commands_need() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["['faust']"]
