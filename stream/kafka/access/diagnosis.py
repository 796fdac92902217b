"""Find out why a client can't connect to Kafka, and explain it in one line.

This runs after a client has failed, on connections of its own.
"""

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    NoError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest
from msgspec import Struct

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import AccessError, BrokerError, ConfigError, TickertapeError, one_line
from tickertape.stream.kafka.access.security import for_aiokafka

# The time limit of each step. A broker that expects another protocol may never answer.
STEP_SECONDS = 5.0
# X509_V_ERR_… of OpenSSL.
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
# What the TLS alerts of a broker mean for the client certificate.
_CERTIFICATE_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "requires a client certificate: set tls_certificate and tls_key",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "reports that the client certificate (tls_certificate) has expired: renew it",
    "TLSV1_ALERT_UNKNOWN_CA": "doesn't trust the authority that signed the client certificate (tls_certificate)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "refuses the client certificate (tls_certificate)",
    # A Java broker sends this for an expired certificate too.
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "refuses the client certificate (tls_certificate): it may have expired, or be "
    "signed by another authority",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "has no TLS version or cipher in common with this client, or requires a client "
    "certificate (tls_certificate)",
}


def no_address(broker: str, error: ValueError) -> ConfigError:
    return ConfigError(f"broker {broker!r}: {error}; expected host:port, or several separated by commas")


def no_answer(broker: str) -> BrokerError:
    return BrokerError(
        f"no Kafka answers at {broker}: start it (`tickertape kafka` runs one), or set TICKERTAPE_BROKER to another"
    )


def diagnose(connection: Connection) -> TickertapeError:
    """Run `find_cause` to its end; this works inside a running event loop, too."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, find_cause(connection)).result()


async def find_cause(connection: Connection) -> TickertapeError:
    """Connect once more, step by step, and return the error that explains why a client can't.

    If several addresses are set, the error is about the first address that answers.
    """
    try:
        options = for_aiokafka(connection)
        hosts = collect_hosts(options.pop("bootstrap_servers"))
    except TickertapeError as error:
        return error
    except ValueError as error:
        return no_address(connection.broker, error)
    for host, port, _ in hosts:
        try:
            await _Attempt(connection, options, host, port).run()
        except _Silent:
            continue
        except TickertapeError as error:
            return error
    return no_answer(connection.broker)


class _Silent(Exception):  # noqa: N818 - no fault of its own
    """No server answers at an address."""


class _Attempt(Struct, frozen=True):
    """One attempt to connect to an address, up to a request that only an authenticated client may send.

    Attributes
    ----------
    connection
        The connection settings.
    options
        The same settings as options of aiokafka, without addresses.
    host, port
        The address.
    advertised
        True if Kafka advertised the address; False if it is from the settings.
    """

    connection: Connection
    options: dict[str, Any]
    host: str
    port: int
    advertised: bool = False

    async def run(self) -> None:
        """Go through all steps. The one that fails raises `TickertapeError` or `_Silent`."""
        provider = self.options.get("sasl_oauth_token_provider")
        conn = await self._greet()
        try:
            await self._check_sasl(conn)
        finally:
            conn.close()
        if provider is not None:
            try:
                await provider.token()
            except KafkaError as error:
                if isinstance(error.__cause__, TickertapeError):
                    raise error.__cause__ from None
                raise
        nodes = await self._log_in()
        if not self.advertised:
            for node in nodes:
                if (node[1], node[2]) != (self.host, self.port):
                    await _Attempt(self.connection, self.options, node[1], node[2], advertised=True).run()

    @property
    def _kafka(self) -> str:
        where = f"{self.host}:{self.port}"
        return f"Kafka at {where}, advertised by {self.connection.broker}," if self.advertised else f"Kafka at {where}"

    async def _greet(self) -> AIOKafkaConnection:
        """Return a connection without authentication."""
        tls = self.connection.uses_tls
        try:
            return await self._connect(security_protocol="SSL" if tls else "PLAINTEXT", sasl_mechanism=None)
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            await self._check_that_it_listens()
            raise await self._why_not(error) from None

    async def _check_that_it_listens(self) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                _, writer = await asyncio.open_connection(self.host, self.port)
            writer.close()
        except (OSError, TimeoutError):
            if self.advertised:
                raise BrokerError(
                    f"{self._kafka} doesn't answer: check the broker's advertised.listeners, and that this machine can "
                    "connect to that address"
                ) from None
            raise _Silent from None

    async def _connect(self, **changed: Any) -> AIOKafkaConnection:
        options = self.options | changed | {"request_timeout_ms": int(STEP_SECONDS * 1000)}
        return await create_conn(self.host, self.port, **options)

    async def _why_not(self, error: BaseException) -> TickertapeError:
        """Return the reason why a server listens but answers no request."""
        protocol, found = self.connection.security_protocol, list(_causes(error))
        if bad := next((one for one in found if isinstance(one, ssl.SSLCertVerificationError)), None):
            return self._bad_certificate(bad)
        for one in found:
            if isinstance(one, ssl.SSLError) and one.reason in _CERTIFICATE_ALERTS:
                return AccessError(f"{self._kafka} {_CERTIFICATE_ALERTS[one.reason]}")
        other = await self._try_other_protocol()
        if other is None:
            said = one_line(str(found[-1]) or type(found[-1]).__name__)
            return BrokerError(f"the server at {self.host}:{self.port} doesn't answer like Kafka ({said})")
        sort, to_set = ("plaintext", "PLAINTEXT") if self.connection.uses_tls else ("TLS", "SSL")
        return AccessError(
            f"{self._kafka} uses {sort}, but security_protocol is {protocol}: set it to {to_set} or SASL_{to_set}, or "
            "use another port"
        )

    async def _try_other_protocol(self) -> AIOKafkaConnection | None:
        """Try TLS if the settings have none, or plaintext if they have TLS; return None if that fails too."""
        context = ssl.create_default_context()
        # Nothing secret is sent over this connection, so the certificate need not be verified.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            if self.connection.uses_tls:
                other = await self._connect(security_protocol="PLAINTEXT", sasl_mechanism=None, ssl_context=None)
                other.close()
            else:
                async with asyncio.timeout(STEP_SECONDS):
                    _, other = await asyncio.open_connection(self.host, self.port, ssl=context)
                other.close()
        except (KafkaError, OSError, TimeoutError, EOFError):
            return None
        return other

    def _bad_certificate(self, error: ssl.SSLCertVerificationError) -> AccessError:
        whose = f"the certificate of {self._kafka}"
        if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
            return AccessError(
                f"{whose} isn't valid for host {self.host}: "
                + (
                    "check the broker's advertised.listeners"
                    if self.advertised
                    else "use a host name of the certificate in TICKERTAPE_BROKER"
                )
            )
        if error.verify_code == _EXPIRED:
            return AccessError(f"{whose} has expired: renew it on the broker")
        if error.verify_code == _NOT_YET_VALID:
            return AccessError(f"{whose} isn't valid yet: check the clocks of both machines")
        ours = self.connection.tls_ca
        return AccessError(
            f"{whose} isn't signed by an authority "
            + (f"in tls_ca ({ours})" if ours else "that this system trusts: set tls_ca to the authority's file")
            + f" ({one_line(error.verify_message)})"
        )

    async def _check_sasl(self, conn: AIOKafkaConnection) -> None:
        """Raise AccessError if the broker and the settings differ in whether SASL is used, or in its mechanism."""
        protocol, mechanism = self.connection.security_protocol, self.connection.sasl_mechanism
        try:
            answer = await conn.send(SaslHandShakeRequest(mechanism or "PLAIN"))
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            raise await self._why_not(error) from None
        kind, offered = for_code(answer.error_code), ", ".join(answer.enabled_mechanisms)
        if kind is IllegalSaslStateError:
            if self.connection.uses_sasl:
                raise AccessError(
                    f"{self._kafka} doesn't accept SASL, but security_protocol is {protocol}: set it to "
                    f"{protocol.removeprefix('SASL_')}, or use another port"
                )
        elif not self.connection.uses_sasl and kind in (NoError, UnsupportedSaslMechanismError):
            sort = "SSL" if self.connection.uses_tls else "PLAINTEXT"
            raise AccessError(
                f"{self._kafka} requires SASL, but security_protocol is {protocol}: set it to SASL_{sort}, and "
                f"sasl_mechanism to one that it accepts ({offered})"
            )
        elif kind is UnsupportedSaslMechanismError:
            raise AccessError(
                f"{self._kafka} doesn't accept sasl_mechanism {mechanism}: it accepts {offered or 'none'}"
            )

    async def _log_in(self) -> list[Any]:
        """Authenticate, and return the brokers that the cluster advertises."""
        mechanism, user = self.connection.sasl_mechanism, self.connection.sasl_username
        try:
            conn = await self._connect()
        except SaslAuthenticationFailed as error:
            raise AccessError(
                f"{self._kafka} refuses "
                + (f"user {user} by {mechanism}: check sasl_username and sasl_password" if user else "the token")
                + f" ({one_line(str(error.args[0] if error.args else error))})"
            ) from None
        except ValueError as error:
            # With SCRAM the server, too, has to prove that it knows the password.
            raise AccessError(
                f"{self._kafka} can't prove that it knows the password of user {user} ({one_line(str(error))})"
            ) from None
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            raise await self._why_not(error) from None
        # aiokafka doesn't notice that a token was refused. Its next request is cut off, or the answer has no brokers.
        refused = AccessError(f"{self._kafka} refuses the token: check its issuer and its expiry")
        try:
            brokers = list((await conn.send(MetadataRequest([]))).brokers)
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            raise (refused if mechanism == "OAUTHBEARER" else await self._why_not(error)) from None
        finally:
            conn.close()
        if mechanism == "OAUTHBEARER" and not brokers:
            raise refused
        return brokers


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
