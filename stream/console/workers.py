"""Numbers of a supervisor's workers that Kafka doesn't know: whether each runs, its restarts, and its memory."""

import psutil

from tickertape.stream.cluster.supervisor import Supervisor


class Workers:
    """Asks the system about the workers of one supervisor.

    Parameters
    ----------
    supervisor
        The supervisor, started.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        # The process ids that each slot has had.
        self._pids: dict[int, set[int]] = {}

    def numbers(self) -> dict[str, dict[str, float]]:
        """Return by slot's name: ``up`` (1 or 0), ``restarts`` since the first call, and ``memory_bytes``."""
        running = self._supervisor.pids
        found = {}
        for slot in self._supervisor.slots:
            pid = running.get(slot)
            had = self._pids.setdefault(slot, set())
            numbers: dict[str, float] = {"up": 0 if pid is None else 1}
            if pid is not None:
                had.add(pid)
                try:
                    numbers["memory_bytes"] = psutil.Process(pid).memory_info().rss
                except psutil.Error:
                    numbers["up"] = 0
            numbers["restarts"] = max(0, len(had) - 1)
            found[self._supervisor.name(slot)] = numbers
        return found
