"""Numbers of the workers, from the metrics that they show where they can be reached."""

import re
import time
from collections.abc import Mapping
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
from msgspec import Struct

WAIT_SECONDS = 0.5
MOST_BYTES = 4 << 20
# The metrics of each worker's process, and what they are called here.
_MEMORY, _CPU = b"process_resident_memory_bytes", b"process_cpu_seconds_total"
_LINE = re.compile(rb"^(%s|%s) (\S+)$" % (_MEMORY, _CPU), re.MULTILINE)


class _Target(Struct):
    targets: list[str]
    labels: dict[str, str]


class WorkerNumbers:
    """Asks the workers of one `tickertape up` for their memory and their share of a core.

    Parameters
    ----------
    discovery
        The address at which the supervisor lists the addresses of its workers' metrics, ``http://host:port/sd``.
    """

    def __init__(self, discovery: str) -> None:
        self._discovery = discovery
        # By worker: when its CPU time was read, and what it was, s.
        self._before: dict[str, tuple[float, float]] = {}

    def __call__(self) -> Mapping[str, Mapping[str, float]]:
        """Return ``memory_bytes`` and ``cpu_share`` by worker; those that don't answer are left out."""
        found: dict[str, dict[str, float]] = {}
        try:
            targets = msgspec.json.decode(_read(self._discovery), type=list[_Target])
        except (OSError, URLError, msgspec.MsgspecError):
            return found
        for target in targets:
            if (name := target.labels.get("worker")) is not None and target.targets:
                try:
                    text = _read(f"http://{target.targets[0]}/metrics")
                except (OSError, URLError):
                    continue
                found[name] = self._numbers(name, dict(_LINE.findall(text)))
        return found

    def _numbers(self, name: str, values: dict[bytes, bytes]) -> dict[str, float]:
        found: dict[str, float] = {}
        if _MEMORY in values:
            found["memory_bytes"] = float(values[_MEMORY])
        if _CPU in values:
            now, cpu_seconds = time.monotonic(), float(values[_CPU])
            since, before = self._before.get(name, (now, cpu_seconds))
            self._before[name] = now, cpu_seconds
            # A worker that was started again begins at zero.
            if now > since and cpu_seconds >= before:
                found["cpu_share"] = round((cpu_seconds - before) / (now - since), 3)
        return found


def _read(address: str) -> bytes:
    with urlopen(address, timeout=WAIT_SECONDS) as answer:
        return bytes(answer.read(MOST_BYTES))
