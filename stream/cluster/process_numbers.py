"""Numbers of a supervisor's workers, from the system."""

import psutil

from tickertape.stream.cluster.supervisor import Supervisor


class ProcessNumbers:
    """Asks the system for the memory of each worker, and its share of a core.

    Parameters
    ----------
    supervisor
        The supervisor, started.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        # A share is one since the last time, which the process's object remembers.
        self._processes: dict[int, psutil.Process] = {}

    def __call__(self) -> dict[str, dict[str, float]]:
        """Return ``memory_bytes`` and ``cpu_share`` by slot's name; the latter is 0 the first time."""
        found = {}
        for slot, pid in self._supervisor.pids.items():
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                numbers = {"memory_bytes": float(process.memory_info().rss), "cpu_share": process.cpu_percent() / 100}
            except psutil.Error:
                continue
            found[self._supervisor.name(slot)] = numbers
        return found
