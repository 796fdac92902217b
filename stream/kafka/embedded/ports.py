"""Find free ports of this machine, and ports that a process listens on."""

import random
import socket
from collections.abc import Iterator

# Below every system's range for outgoing connections, so none of these takes the port while the broker restarts.
PORTS = range(20_000, 32_000)


def free_ports(host: str) -> Iterator[int]:
    """Yield free ports, in random order."""
    return (port for port in random.sample(PORTS, len(PORTS)) if is_free(host, port))


def is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # Like the broker, count a port as free if its last connections are in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
