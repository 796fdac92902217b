"""Every client library gets in by every mechanism, and each refusal is one line that says what to do."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from tests.secured.broker import PASSWORD, SCRAM_PASSWORD, Right, SecuredKafka
from tests.secured.certificates import Authority
from tickertape.stream.configuration.connection import Connection, Secret
from tickertape.stream.errors import AccessError
from tickertape.stream.kafka.access.diagnosis import diagnose
from tickertape.stream.kafka.access.security import for_aiokafka, for_faust
from tickertape.stream.kafka.admin.client import connected

pytestmark = pytest.mark.kafka

# Enough for Kafka to name a topic, and nothing else.
SEES = [Right("Describe", "topic", "seen")]
# What each way in is, by name.
WAYS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "certificate")


@pytest.fixture(scope="module")
def known(locked: SecuredKafka) -> SecuredKafka:
    """The broker with a topic that is seen by all who get in here, and one that isn't."""
    with connected(locked.admin) as admin:
        admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1} for name in ("seen", "unseen")})
    locked.add("scram", SEES)
    for name in ("plain", "bearer", "CN=client"):
        locked.allow(f"User:{name}", SEES)
    return locked


@pytest.fixture
def way(known: SecuredKafka, tmp_path: Path) -> Callable[[str], Connection]:
    def way(name: str) -> Connection:
        if name == "certificate":
            signed = known.authority.sign("client")
            return replace(known.admin, tls_certificate=str(signed))
        if name == "OAUTHBEARER":
            token = tmp_path / "token"
            token.write_text(unsigned("bearer"))
            return Connection(
                known.embedded.address("USERS"),
                security_protocol="SASL_SSL",
                tls_ca=str(known.authority.file),
                sasl_mechanism=name,
                sasl_token_file=str(token),
            )
        return known.user("plain" if name == "PLAIN" else "scram", name)

    return way


def unsigned(subject: str, seconds: float = 600) -> str:
    """Return a token that says who one is, and proves nothing (RFC 7519, section 6)."""
    now = time.time()
    parts = {"alg": "none"}, {"sub": subject, "iat": now, "exp": now + seconds}
    return ".".join(base64.urlsafe_b64encode(json.dumps(it).encode()).decode().rstrip("=") for it in parts) + "."


@pytest.mark.parametrize("name", WAYS)
def test_kafka_python(way: Callable[[str], Connection], name: str) -> None:
    with connected(way(name)) as admin:
        assert admin.list_topics() == ["seen"]


@pytest.mark.parametrize("name", WAYS)
def test_aiokafka(way: Callable[[str], Connection], name: str) -> None:
    async def scenario() -> set[str]:
        consumer = AIOKafkaConsumer(**for_aiokafka(way(name)))
        try:
            await consumer.start()
            return set(await consumer.topics())
        finally:
            await consumer.stop()

    assert asyncio.run(scenario()) == {"seen"}


@pytest.mark.parametrize("name", WAYS)
def test_faust(way: Callable[[str], Connection], name: str) -> None:
    async def scenario() -> set[str]:
        connection = way(name)
        app = faust.App("seen", broker=f"kafka://{connection.broker}", broker_credentials=for_faust(connection))
        async with app.producer as producer:
            return set((await producer._producer.client.fetch_all_metadata()).topics())

    assert asyncio.run(scenario()) == {"seen"}


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "certificate"])
def test_librdkafka(way: Callable[[str], Connection], name: str) -> None:
    # Only the bench and other people's consumers use it; the broker is to let them in as well.
    connection = way(name)
    options = {
        "bootstrap.servers": connection.broker,
        "security.protocol": connection.security_protocol,
        "ssl.ca.location": connection.tls_ca,
    }
    if name == "certificate":
        options |= {
            "ssl.certificate.location": connection.tls_certificate,
            "ssl.key.location": connection.tls_certificate,
        }
    else:
        options |= {
            "sasl.mechanism": name,
            "sasl.username": connection.sasl_username,
            "sasl.password": connection.password(),
        }
    assert set(AdminClient(options).list_topics(timeout=20).topics) == {"seen"}


def told(connection: Connection) -> str:
    """Return the line with which every client of ours ends that can't get in."""
    error = diagnose(connection)
    assert type(error) is AccessError
    line = str(error)
    assert "\n" not in line
    assert PASSWORD not in line
    assert SCRAM_PASSWORD not in line
    return line


def test_a_plaintext_client_at_a_tls_port(known: SecuredKafka) -> None:
    broker = known.user("scram").broker
    assert told(Connection(broker)) == (
        f"Kafka at {broker} uses TLS, but security_protocol is PLAINTEXT: set it to SSL or SASL_SSL, or use another "
        "port"
    )


def test_a_tls_client_at_a_plaintext_port(known: SecuredKafka, kafka: str) -> None:
    assert told(replace(known.user("scram"), broker=kafka)) == (
        f"Kafka at {kafka} uses plaintext, but security_protocol is SASL_SSL: set it to PLAINTEXT or SASL_PLAINTEXT, "
        "or use another port"
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password(known: SecuredKafka, mechanism: str) -> None:
    user = "plain" if mechanism == "PLAIN" else "scram"
    line = told(replace(known.user(user, mechanism), sasl_password=Secret("wrong-one")))
    broker = known.user(user).broker
    assert line.startswith(f"Kafka at {broker} refuses user {user} by {mechanism}: check sasl_username and sasl_pass")
    assert "wrong-one" not in line


def test_a_token_that_is_too_old(way: Callable[[str], Connection]) -> None:
    connection = way("OAUTHBEARER")
    Path(connection.sasl_token_file).write_text(unsigned("bearer", -60))
    assert told(connection).startswith(f"Kafka at {connection.broker} refuses the token")


def test_an_expired_certificate(known: SecuredKafka) -> None:
    connection = known.user("scram", listener="EXPIRED")
    assert told(connection) == f"the certificate of Kafka at {connection.broker} has expired: renew it on the broker"


def test_our_own_certificate_has_expired(known: SecuredKafka) -> None:
    connection = replace(known.admin, tls_certificate=str(known.authority.sign("late-client", expired=True)))
    assert told(connection) == (
        f"Kafka at {connection.broker} refuses the client certificate (tls_certificate): it may have expired, or be "
        "signed by another authority"
    )


def test_no_certificate_where_one_is_asked_for(known: SecuredKafka) -> None:
    connection = replace(known.admin, tls_certificate="")
    assert told(connection) == (
        f"Kafka at {connection.broker} requires a client certificate: set tls_certificate and tls_key"
    )


def test_an_unknown_authority(known: SecuredKafka, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    connection = replace(known.user("scram"), tls_ca=str(other.file))
    assert told(connection).startswith(
        f"the certificate of Kafka at {connection.broker} isn't signed by an authority in tls_ca ({other.file})"
    )


def test_a_certificate_of_another_host(known: SecuredKafka) -> None:
    connection = known.user("scram", listener="ELSEWHERE")
    assert told(connection) == (
        f"the certificate of Kafka at {connection.broker} isn't valid for host 127.0.0.1: use a host name of the "
        "certificate in TICKERTAPE_BROKER"
    )
