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
_RESULTS = re.compile(rb"^tickertape_results_total\{[^}]*\} (\S+)$", re.MULTILINE)


class _Target(Struct):
    targets: list[str]
    labels: dict[str, str]


class WorkerNumbers:
    """Asks the workers of one `tickertape up` for their memory, their share of a core, and what they publish.

    Parameters
    ----------
    discovery
        The address at which the supervisor lists the addresses of its workers' metrics, ``http://host:port/sd``.
    """

    def __init__(self, discovery: str) -> None:
        self._discovery = discovery
        # By worker: when its counters were read, s, and what they were.
        self._before: dict[str, tuple[float, dict[str, float]]] = {}

    def __call__(self) -> Mapping[str, Mapping[str, float]]:
        """Return ``memory_bytes``, ``cpu_share`` and ``results_per_second`` by worker that answers."""
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
                found[name] = self._numbers(name, text)
        return found

    def _numbers(self, name: str, text: bytes) -> dict[str, float]:
        values = {metric: float(value) for metric, value in _LINE.findall(text)}
        found: dict[str, float] = {}
        if _MEMORY in values:
            found["memory_bytes"] = values[_MEMORY]
        counters = {"cpu_share": values[_CPU]} if _CPU in values else {}
        if results := _RESULTS.findall(text):
            counters["results_per_second"] = sum(map(float, results))
        now = time.monotonic()
        since, before = self._before.get(name, (now, counters))
        self._before[name] = now, counters
        for what, count in counters.items():
            # A worker that was started again begins at zero.
            if now > since and count >= before.get(what, count + 1):
                found[what] = round((count - before[what]) / (now - since), 3)
        return found


def _read(address: str) -> bytes:
    with urlopen(address, timeout=WAIT_SECONDS) as answer:
        return bytes(answer.read(MOST_BYTES))
