"""What each client library is told of a `Connection`: the only place that tells them."""

import logging
import ssl
from functools import partial
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider as BlockingTokenProvider

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import ConfigError, TickertapeError
from tickertape.stream.kafka.access.token import blocking_token, token

# At the level DEBUG they log requests as they are, passwords and tokens among them.
for _name in ("aiokafka.conn", "kafka.net.connection", "kafka.protocol.parser"):
    logging.getLogger(_name).addFilter(lambda record: record.levelno > logging.DEBUG)


def for_aiokafka(connection: Connection) -> dict[str, Any]:
    """Return the keyword arguments of aiokafka's clients.

    Raises
    ------
    ConfigError
        A file that the settings name can't be read, or isn't what it should be.
    """
    return {
        "bootstrap_servers": connection.broker,
        "security_protocol": connection.security_protocol,
        "ssl_context": tls_context(connection),
        **_sasl(connection, TokenProvider),
    }


def for_kafka_python(connection: Connection) -> dict[str, Any]:
    """Return the keyword arguments of kafka-python's clients.

    Raises
    ------
    ConfigError
        As `for_aiokafka`.
    """
    return {
        "bootstrap_servers": connection.broker.split(","),
        "security_protocol": connection.security_protocol,
        "ssl_context": tls_context(connection),
        **_sasl(connection, _BlockingTokenProvider),
    }


def for_faust(connection: Connection) -> Any:
    """Return what a Faust app takes as ``broker_credentials``.

    Raises
    ------
    ConfigError
        As `for_aiokafka`.
    """
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

    context = tls_context(connection)
    if not connection.uses_sasl:
        return None if context is None else SSLCredentials(context)
    if connection.sasl_mechanism == "OAUTHBEARER":
        return OAuthCredentials(oauth_cb=TokenProvider(connection), ssl_context=context)
    return SASLCredentials(
        username=connection.sasl_username,
        password=connection.password(),
        ssl_context=context,
        mechanism=connection.sasl_mechanism,
    )


def tls_context(connection: Connection) -> ssl.SSLContext | None:
    """Return what connections are made with; None without TLS.

    It asks for TLS 1.2 at least, a certificate that is valid, and one that is of the host's name.

    Raises
    ------
    ConfigError
        As `for_aiokafka`.
    """
    if not connection.uses_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=connection.tls_ca or None)
    except OSError as error:
        raise ConfigError(f"setting: tls_ca: {connection.tls_ca} {_what_is_wrong(error)}") from None
    if connection.tls_certificate:
        # Without a function OpenSSL would ask for the password at the terminal.
        password = partial(str, connection.key_password())
        try:
            context.load_cert_chain(connection.tls_certificate, connection.tls_key or None, password)
        except OSError as error:
            files = " and ".join(filter(None, (connection.tls_certificate, connection.tls_key)))
            raise ConfigError(f"setting: tls_certificate, tls_key: {files} {_what_is_wrong(error)}") from None
    return context


def _what_is_wrong(error: OSError) -> str:
    """Say it of files that were to be read as PEM."""
    if not isinstance(error, ssl.SSLError):
        return f"can't be read: {error.strerror}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return "don't belong together"
    # A wrong password makes rubbish, of which OpenSSL says one thing or another.
    return f"isn't such a file in PEM, or the password (tls_key_password) is wrong ({error.reason or 'no PEM'})"


def _sasl(connection: Connection, provider: type[Any]) -> dict[str, Any]:
    if not connection.uses_sasl:
        return {}
    if connection.sasl_mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": provider(connection)}
    return {
        "sasl_mechanism": connection.sasl_mechanism,
        "sasl_plain_username": connection.sasl_username,
        "sasl_plain_password": connection.password(),
    }


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped here
    """Gives aiokafka a token for each connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def token(self) -> str:
        try:
            return await token(self._connection)
        except TickertapeError as error:
            # What aiokafka takes for a connection that failed, and tries again; another error would end its tasks.
            raise KafkaConnectionError(str(error)) from error

    def extensions(self) -> dict[str, str]:
        return self._connection.extensions


class _BlockingTokenProvider(BlockingTokenProvider):  # type: ignore[misc]  # kafka-python is untyped
    """Gives kafka-python a token for each connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def token(self) -> str:
        return blocking_token(self._connection)

    def extensions(self) -> dict[str, str]:
        return self._connection.extensions
