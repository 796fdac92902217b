"""Why Kafka doesn't let us in, in one line: asked once a client has failed, by a connection of its own."""

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

# Each step has this long: a broker that takes us for another client says nothing at all.
STEP_SECONDS = 5.0
# X509_V_ERR_… of OpenSSL.
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
# What TLS calls a certificate of ours that the broker doesn't like.
_OURS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "asks for a certificate of ours: set tls_certificate and tls_key",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "says that our certificate (tls_certificate) has expired: renew it",
    "TLSV1_ALERT_UNKNOWN_CA": "doesn't know the authority that signed our certificate (tls_certificate)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "refuses our certificate (tls_certificate)",
    # With Java it is what has expired, too.
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "refuses our certificate (tls_certificate): it may have expired, or be of "
    "another authority",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "and we have no way of TLS in common; it may ask for a certificate of ours "
    "(tls_certificate)",
}


def no_address(broker: str, error: ValueError) -> ConfigError:
    return ConfigError(f"broker {broker!r}: {error}; it is host:port, or several with commas")


def no_answer(broker: str) -> BrokerError:
    return BrokerError(
        f"no Kafka answers at {broker}: start it (`tickertape kafka` runs one), or set TICKERTAPE_BROKER to another"
    )


def diagnose(connection: Connection) -> TickertapeError:
    """Do what `find_cause` does, also where an event loop runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, find_cause(connection)).result()


async def find_cause(connection: Connection) -> TickertapeError:
    """Return why a client can't connect; it is tried once more, step by step.

    Where several addresses are set, what the first says that answers at all.
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
    """Nothing answers at an address."""


class _Attempt(Struct, frozen=True):
    """One way to Kafka, up to an answer that only those get who are let in.

    Attributes
    ----------
    connection
        How it is reached.
    options
        The same as aiokafka takes it, without addresses.
    host, port
        Where.
    advertised
        True where Kafka named the address.
    """

    connection: Connection
    options: dict[str, Any]
    host: str
    port: int
    advertised: bool = False

    async def run(self) -> None:
        """Raise what stands in the way: `TickertapeError` or `_Silent`."""
        provider = self.options.get("sasl_oauth_token_provider")
        conn = await self._greet()
        try:
            await self._see_what_it_speaks(conn)
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
        return f"Kafka at {where}, as {self.connection.broker} names it," if self.advertised else f"Kafka at {where}"

    async def _greet(self) -> AIOKafkaConnection:
        """Return a connection on which nobody has said who they are."""
        tls = self.connection.uses_tls
        try:
            return await self._connect(security_protocol="SSL" if tls else "PLAINTEXT", sasl_mechanism=None)
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            await self._must_listen()
            raise await self._why_not(error) from None

    async def _must_listen(self) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                _, writer = await asyncio.open_connection(self.host, self.port)
            writer.close()
        except (OSError, TimeoutError):
            if self.advertised:
                raise BrokerError(
                    f"{self._kafka} doesn't answer: see its advertised.listeners, and that we may connect to it"
                ) from None
            raise _Silent from None

    async def _connect(self, **changed: Any) -> AIOKafkaConnection:
        options = self.options | changed | {"request_timeout_ms": int(STEP_SECONDS * 1000)}
        return await create_conn(self.host, self.port, **options)

    async def _why_not(self, error: BaseException) -> TickertapeError:
        """Return what is wrong where no request is answered, though somebody listens."""
        protocol, found = self.connection.security_protocol, list(_causes(error))
        if bad := next((one for one in found if isinstance(one, ssl.SSLCertVerificationError)), None):
            return self._bad_certificate(bad)
        for one in found:
            if isinstance(one, ssl.SSLError) and one.reason in _OURS:
                return AccessError(f"{self._kafka} {_OURS[one.reason]}")
        other = await self._other_way()
        if other is None:
            said = one_line(str(found[-1]) or type(found[-1]).__name__)
            return BrokerError(f"what listens at {self.host}:{self.port} doesn't answer as Kafka does ({said})")
        sort, to_set = ("plaintext", "PLAINTEXT") if self.connection.uses_tls else ("TLS", "SSL")
        return AccessError(
            f"{self._kafka} speaks {sort} and security_protocol is {protocol}: set it to {to_set} or SASL_{to_set}, or "
            "name another port"
        )

    async def _other_way(self) -> AIOKafkaConnection | None:
        """Return something where Kafka answers with TLS if we have none, and the other way round."""
        context = ssl.create_default_context()
        # Nothing is said on this connection that others may not hear.
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
                f"{whose} is of other names than {self.host}: "
                + ("see its advertised.listeners" if self.advertised else "name it in TICKERTAPE_BROKER as it does")
            )
        if error.verify_code == _EXPIRED:
            return AccessError(f"{whose} has expired: it is to be renewed there")
        if error.verify_code == _NOT_YET_VALID:
            return AccessError(f"{whose} isn't valid yet: see both clocks")
        ours = self.connection.tls_ca
        return AccessError(
            f"{whose} isn't signed by an authority "
            + (f"in tls_ca ({ours})" if ours else "that this system knows: set tls_ca to the file of its own")
            + f" ({one_line(error.verify_message)})"
        )

    async def _see_what_it_speaks(self, conn: AIOKafkaConnection) -> None:
        """Raise AccessError where it wants SASL and we don't, or the other way round, or by another mechanism."""
        protocol, mechanism = self.connection.security_protocol, self.connection.sasl_mechanism
        try:
            answer = await conn.send(SaslHandShakeRequest(mechanism or "PLAIN"))
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            raise await self._why_not(error) from None
        kind, offered = for_code(answer.error_code), ", ".join(answer.enabled_mechanisms)
        if kind is IllegalSaslStateError:
            if self.connection.uses_sasl:
                raise AccessError(
                    f"{self._kafka} doesn't take SASL and security_protocol is {protocol}: set it to "
                    f"{protocol.removeprefix('SASL_')}, or name another port"
                )
        elif not self.connection.uses_sasl and kind in (NoError, UnsupportedSaslMechanismError):
            sort = "SSL" if self.connection.uses_tls else "PLAINTEXT"
            raise AccessError(
                f"{self._kafka} asks who we are and security_protocol is {protocol}: set it to SASL_{sort}, and "
                f"sasl_mechanism to what it takes ({offered})"
            )
        elif kind is UnsupportedSaslMechanismError:
            raise AccessError(f"{self._kafka} doesn't take sasl_mechanism {mechanism}: it takes {offered or 'none'}")

    async def _log_in(self) -> list[Any]:
        """Return the brokers of the cluster, as it names them to those that it lets in."""
        mechanism, user = self.connection.sasl_mechanism, self.connection.sasl_username
        try:
            conn = await self._connect()
        except SaslAuthenticationFailed as error:
            raise AccessError(
                f"{self._kafka} refuses "
                + (f"user {user} by {mechanism}: see sasl_username and sasl_password" if user else "the token")
                + f" ({one_line(str(error.args[0] if error.args else error))})"
            ) from None
        except ValueError as error:
            # SCRAM proves both sides to each other.
            raise AccessError(f"{self._kafka} can't prove that it knows user {user} ({one_line(str(error))})") from None
        except (KafkaError, OSError, TimeoutError, EOFError) as error:
            raise await self._why_not(error) from None
        # aiokafka takes the refusal of a token for an answer. Its next request is cut off, or answered with no broker.
        refused = AccessError(f"{self._kafka} refuses the token: see where it comes from, and its life")
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
