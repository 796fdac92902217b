"""The ports at which a supervisor's workers show their metrics, and how Prometheus finds them."""

import socket
from collections.abc import Callable

from msgspec import json

from tickertape.stream.configuration.settings import PREFIX, Settings
from tickertape.stream.telemetry.serving import reserve


class MetricsPorts:
    """A reserved port per slot: a worker that is started again gets the same one.

    Parameters
    ----------
    settings
        ``metrics_host``; with a negative ``metrics_port`` no ports are reserved.
    name
        Returns a slot's name.
    """

    def __init__(self, settings: Settings, name: Callable[[int], str]) -> None:
        self._settings = settings
        self._name = name
        self._ports: dict[int, socket.socket] = {}

    def reserve(self, slot: int) -> dict[str, str]:
        """Reserve a port, and return the environment variable that names it to the worker."""
        if self._settings.metrics_port < 0:
            return {}
        self._ports[slot] = reserve(self._settings.metrics_host)
        return {f"{PREFIX}METRICS_PORT": str(self._ports[slot].getsockname()[1])}

    def release(self, slot: int) -> None:
        if held := self._ports.pop(slot, None):
            held.close()

    def release_all(self) -> None:
        for slot in list(self._ports):
            self.release(slot)

    def discovery(self, asked: str) -> bytes:
        """Return the targets for Prometheus' HTTP service discovery: this process and the workers on its machine.

        Parameters
        ----------
        asked
            The ``host:port`` that Prometheus used for this request.
        """
        host = asked.rpartition(":")[0]
        targets = [{"targets": [asked], "labels": {"job": "supervisor"}}]
        for slot, held in sorted(self._ports.items()):
            labels = {"job": "worker", "worker": self._name(slot)}
            targets.append({"targets": [f"{host}:{held.getsockname()[1]}"], "labels": labels})
        return json.encode(targets)
