import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import psutil
import pytest
from jgo.maven import Artifact, PythonResolver
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import EmbeddedKafkaError
from tickertape.stream.kafka.embedded import broker as embedded
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka, broker_for

pytestmark = pytest.mark.kafka

GONE_SECONDS = 15.0


def send(broker: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker, max_request_size=16 << 20)
    for value in values:
        producer.send(topic, value).get(20)
    producer.close()


def read(broker: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=20_000, group_id=None
    )
    values = [record.value for record in islice(consumer, count)]
    consumer.close()
    return values


def make(broker: str, topic: str) -> None:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        admin.create_topics({topic: {"num_partitions": 1}}, wait_for_metadata=True)


def names(broker: str) -> set[str]:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        return set(admin.list_topics())


def javas(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if child.name() == "java"]


def test_a_record_of_10_mb(kafka: str, topic: Callable[..., str]) -> None:
    name, value = topic(), bytes(10_000_000)
    make(kafka, name)
    send(kafka, name, value)
    assert read(kafka, name, 1) == [value]


@pytest.mark.slow
def test_two_at_once_and_the_same_data_after_a_kill_and_after_a_stop(
    kafka: str, topic: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, folder = topic(), tmp_path / "dät, a b"
    # One cluster id in 64 begins so, and Kafka's own tool may take it for an option.
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: "-PeOCWypqUOSepEvx0cbog")
    with EmbeddedKafka(folder) as other:
        assert "cluster.id=-PeOCWypqUOSepEvx0cbog" in (folder / "records" / "meta.properties").read_text()
        address = other.broker
        assert address != kafka
        make(address, name)
        send(address, name, b"one")
        assert name in names(address)
        assert name not in names(kafka)

        other.kill()
        assert not other.running
        other.start()
        assert other.broker == address
        send(address, name, b"two")
    with EmbeddedKafka(folder) as again:
        assert read(again.broker, name, 2) == [b"one", b"two"]
    assert (folder / "kafka.log").stat().st_size > 0


STARTER = """
import sys, time
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
kafka = EmbeddedKafka().start()
print(kafka.data, flush=True)
{then}
"""


@pytest.fixture
def started() -> Iterator[Callable[[str], tuple[subprocess.Popen[str], psutil.Process, Path]]]:
    """Start a Python that starts a broker and then does what is asked; its process, its Java, its folder."""
    running = []

    def start(then: str) -> tuple[subprocess.Popen[str], psutil.Process, Path]:
        process = subprocess.Popen([sys.executable, "-c", STARTER.format(then=then)], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        (java,) = javas(psutil.Process(process.pid))
        return process, java, folder

    yield start
    for process in running:
        process.kill()
        process.wait()


def wait_until_gone(java: psutil.Process, folder: Path) -> None:
    java.wait(GONE_SECONDS)
    until = time.monotonic() + GONE_SECONDS
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not folder.exists()


def test_it_ends_with_a_starter_that_is_killed(started: Callable[..., tuple]) -> None:
    process, java, folder = started("time.sleep(600)")
    assert java.is_running()
    assert folder.exists()
    os.kill(process.pid, signal.SIGKILL)
    wait_until_gone(java, folder)


def test_it_ends_with_a_starter_whose_forked_child_lives_on(started: Callable[..., tuple]) -> None:
    # The child holds the pipe's end too.
    process, java, folder = started("import os\nprint(os.fork(), flush=True)\ntime.sleep(60)")
    child = max(int(process.stdout.readline()), int(process.stdout.readline()))
    os.kill(process.pid, signal.SIGKILL)
    wait_until_gone(java, folder)
    os.kill(child, signal.SIGKILL)


def test_it_ends_with_a_starter_that_forgets_it(started: Callable[..., tuple]) -> None:
    process, java, folder = started("time.sleep(1)")
    wait_until_gone(java, folder)
    assert process.wait(5) == 0


def test_a_temporary_folder_and_a_guard_that_is_told_to_end() -> None:
    before = javas(psutil.Process())
    with EmbeddedKafka() as broker:
        folder = broker.data
        assert (folder / "kafka.log").exists()
        (java,) = [java for java in javas(psutil.Process()) if java not in before]
        assert broker.pid == java.pid
        java.parent().terminate()
        broker.wait()
        assert broker.pid is None
        assert not java.is_running()
        assert not broker.running
    assert not folder.exists()


def test_a_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    (records / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")
    with pytest.raises(EmbeddedKafkaError) as caught:
        EmbeddedKafka(tmp_path).start()
    first, *lines = str(caught.value).splitlines()
    assert first == f"the embedded Kafka did not start, exit code 1; its log ({tmp_path / 'kafka.log'}) ends:"
    assert any("Stored node id 7 doesn't match" in line for line in lines)
    assert len(lines) <= 15


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedKafkaError, match=r"can't write to its folder: .*File exists"):
        EmbeddedKafka(tmp_path / "file").start()


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedKafkaError, match=f"127.0.0.1:{port} is taken"):
            EmbeddedKafka(port=port).start()


def test_a_port_lost_to_another_kafka_is_replaced(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = embedded.free_ports
    lost = [iter([int(kafka.split(":")[1]), next(free("127.0.0.1"))])]
    monkeypatch.setattr(embedded, "free_ports", lambda host: lost.pop() if lost else free(host))
    with EmbeddedKafka() as broker:
        assert not lost
        assert broker.broker != kafka


def test_no_jars_and_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "jgo"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(EmbeddedKafkaError) as caught:
        EmbeddedKafka().start()
    assert str(caught.value) == (
        f"the embedded Kafka needs its jars once from Maven Central (43 MB, kept in {tmp_path / 'jgo'}) and can't get "
        "them (ProxyError): go online for the first start, or set TICKERTAPE_BROKER to a Kafka that runs"
    )


def test_half_a_download_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def download(_: PythonResolver, artifact: Artifact) -> None:
        artifact.cached_path.parent.mkdir(parents=True, exist_ok=True)
        artifact.cached_path.write_bytes(b"half")
        raise OSError("the line went dead")

    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "jgo"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setattr(PythonResolver, "download", download)
    with pytest.raises(EmbeddedKafkaError, match=r"can't get them \(OSError\)"):
        EmbeddedKafka().start()
    assert [path for path in (tmp_path / "m2").rglob("*") if path.is_file()] == []
    assert (tmp_path / "m2" / "org" / "apache" / "kafka").is_dir()


def test_before_it_is_started_it_has_no_address() -> None:
    with pytest.raises(EmbeddedKafkaError, match="has no port before it is started"):
        EmbeddedKafka().broker  # noqa: B018 - asking is what fails


def test_broker_for() -> None:
    with broker_for(Settings(broker="elsewhere:9092")) as broker:
        assert broker == "elsewhere:9092"
    with broker_for(Settings()) as broker:
        assert names(broker) == set()


def test_the_command_prints_the_address_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tickertape", "kafka", "--data", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert names(address) == set()
    (java,) = javas(psutil.Process(process.pid))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip().splitlines() == [
        f"Kafka is up, with its data in {tmp_path}",
        f"in other terminals: export TICKERTAPE_BROKER={address}",
    ]
    assert not java.is_running()
