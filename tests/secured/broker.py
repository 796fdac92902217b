"""An embedded Kafka that lets in whom it knows, and lets them do what they have a right to."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)
from msgspec import Struct
from msgspec.structs import replace

from tests.secured.certificates import Authority
from tickertape.stream.configuration.connection import Connection, Secret
from tickertape.stream.kafka.admin.client import connected
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.embedded.listeners import Listeners

PASSWORD = "a pass-phrase, and long"
SCRAM_PASSWORD = "another one"
_MODULE = "org.apache.kafka.common.security"
# By name of a listener that takes users: whose certificate it shows.
_SHOWN = {"USERS": "broker", "EXPIRED": "expired", "ELSEWHERE": "elsewhere"}


class Right(Struct, frozen=True):
    """A right of a user: ``Right("Read", "topic", "trades")``; a name that ends in ``*`` is a prefix."""

    operation: str
    sort: str
    name: str


class SecuredKafka(Struct, frozen=True):
    """One that runs.

    Attributes
    ----------
    embedded
        Its listeners: CERTIFICATES takes clients with a certificate, USERS those with a password or token; EXPIRED and
        ELSEWHERE are as USERS, with a certificate that has expired or is of another host.
    authority
        Who signed the broker's certificates, and may sign those of clients.
    admin
        How one gets in who may do everything.
    """

    embedded: EmbeddedKafka
    authority: Authority
    admin: Connection

    def user(self, name: str, mechanism: str = "SCRAM-SHA-512", listener: str = "USERS") -> Connection:
        """Return how a user gets in; PLAIN is for ``plain`` alone, SCRAM for those that `add` has made."""
        return Connection(
            self.embedded.address(listener),
            security_protocol="SASL_SSL",
            tls_ca=str(self.authority.file),
            sasl_mechanism=mechanism,
            sasl_username=name,
            sasl_password=Secret(PASSWORD if mechanism == "PLAIN" else SCRAM_PASSWORD),
        )

    def add(self, name: str, rights: Iterable[Right]) -> Connection:
        """Make a user with these rights and no others, and return how it gets in."""
        with connected(self.admin) as admin:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                # Kafka takes one of a user at a time.
                upsert = UserScramCredentialUpsertion(name, mechanism, SCRAM_PASSWORD)
                assert admin.alter_user_scram_credentials([upsert]) == {name: None}
        self.allow(f"User:{name}", rights)
        return self.user(name)

    def allow(self, principal: str, rights: Iterable[Right]) -> None:
        acls = [
            ACL(
                principal,
                "*",
                ACLOperation[_upper(right.operation)],
                ACLPermissionType.ALLOW,
                ResourcePattern(
                    ResourceType[right.sort.upper()],
                    right.name.removesuffix("*") or "*",
                    ACLResourcePatternType.PREFIXED
                    if right.name.endswith("*") and len(right.name) > 1
                    else ACLResourcePatternType.LITERAL,
                ),
            )
            for right in rights
        ]
        if acls:
            with connected(self.admin) as admin:
                assert not admin.create_acls(acls)["failed"]


@contextmanager
def secured(folder: Path) -> Iterator[SecuredKafka]:
    """Run one; certificates go to the folder."""
    authority = Authority(folder, "authority")
    broker = authority.sign("broker")
    authority.sign("expired", expired=True)
    authority.sign("elsewhere", "DNS:kafka.example")
    shown = "\n".join(
        f"listener.name.{listener.lower()}.ssl.keystore.location={folder}/{name}.both.pem\n{_takes_users(listener)}"
        for listener, name in _SHOWN.items()
    )
    properties = f"""
ssl.keystore.type=PEM
ssl.keystore.location={broker}
ssl.truststore.type=PEM
ssl.truststore.location={authority.file}
listener.name.controller.ssl.client.auth=required
listener.name.certificates.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:CN=broker
{shown}
"""
    admin = Connection(security_protocol="SSL", tls_ca=str(authority.file), tls_certificate=str(broker))
    protocols = {"CERTIFICATES": "SSL"} | dict.fromkeys(_SHOWN, "SASL_SSL")
    with EmbeddedKafka(listeners=Listeners(protocols, properties, admin)) as embedded:
        yield SecuredKafka(embedded, authority, replace(admin, broker=embedded.broker))


def _takes_users(listener: str) -> str:
    prefix = f"listener.name.{listener.lower()}"
    return f"""\
{prefix}.plain.sasl.jaas.config={_MODULE}.plain.PlainLoginModule required user_plain="{PASSWORD}";
{prefix}.scram-sha-256.sasl.jaas.config={_MODULE}.scram.ScramLoginModule required;
{prefix}.scram-sha-512.sasl.jaas.config={_MODULE}.scram.ScramLoginModule required;
{prefix}.oauthbearer.sasl.jaas.config={_MODULE}.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub="broker";"""


def _upper(operation: str) -> str:
    """Return ``DescribeConfigs`` as kafka-python names it."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in operation).strip("_").upper()
