"""Numbers of a supervisor's workers, from the system, which Kafka doesn't know."""

import psutil

from tickertape.stream.cluster.supervisor import Supervisor


class ProcessNumbers:
    """Asks the system about the workers of one supervisor.

    Parameters
    ----------
    supervisor
        The supervisor, started.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        # The processes that each slot has had. One remembers since when its share of a core is counted.
        self._had: dict[int, dict[int, psutil.Process]] = {}

    def __call__(self) -> dict[str, dict[str, float]]:
        """Return numbers by slot's name.

        They are ``up`` (1 or 0), ``restarts`` since the first call, and of a worker that is up ``memory_bytes``, and
        ``cpu_share`` since the last call, which is 0 the first time.
        """
        found = {}
        running = self._supervisor.pids
        for slot in self._supervisor.slots:
            had = self._had.setdefault(slot, {})
            numbers = self._of(running[slot], had) if slot in running else {}
            numbers |= {"up": 1.0 if numbers else 0.0, "restarts": float(max(0, len(had) - 1))}
            found[self._supervisor.name(slot)] = numbers
        return found

    @staticmethod
    def _of(pid: int, had: dict[int, psutil.Process]) -> dict[str, float]:
        try:
            process = had[pid] = had.get(pid) or psutil.Process(pid)
            return {"memory_bytes": float(process.memory_info().rss), "cpu_share": process.cpu_percent() / 100}
        except psutil.Error:
            return {}
