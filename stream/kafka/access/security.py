"""Translate a `Connection` into the options of each client library. No other module sets these options."""

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

# At level DEBUG these loggers write whole requests, with passwords and tokens.
for _name in ("aiokafka.conn", "kafka.net.connection", "kafka.protocol.parser"):
    logging.getLogger(_name).addFilter(lambda record: record.levelno > logging.DEBUG)


def for_aiokafka(connection: Connection) -> dict[str, Any]:
    """Return the keyword arguments of aiokafka's clients.

    Raises
    ------
    ConfigError
        A file that the settings name can't be read, or has the wrong contents.
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
    """Return the ``broker_credentials`` of a Faust app; None without TLS and SASL.

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
    """Return the TLS context of connections; None without TLS.

    It requires TLS 1.2 or later, and a valid certificate for the host's name.

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
        # A function, because OpenSSL would otherwise ask for the password at the terminal.
        password = partial(str, connection.key_password())
        try:
            context.load_cert_chain(connection.tls_certificate, connection.tls_key or None, password)
        except OSError as error:
            files = " and ".join(filter(None, (connection.tls_certificate, connection.tls_key)))
            raise ConfigError(f"setting: tls_certificate, tls_key: {files} {_what_is_wrong(error)}") from None
    return context


def _what_is_wrong(error: OSError) -> str:
    """Return what is wrong with files that could not be read as PEM, as the end of a sentence."""
    if not isinstance(error, ssl.SSLError):
        return f"can't be read: {error.strerror}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return "don't belong together"
    # With a wrong password the decrypted bytes are arbitrary, and so is OpenSSL's reason.
    return f"isn't a valid PEM file, or the password (tls_key_password) is wrong ({error.reason or 'no PEM'})"


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
    """Provides aiokafka with a token for each connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def token(self) -> str:
        try:
            return await token(self._connection)
        except TickertapeError as error:
            # aiokafka treats this error as a failed connection and retries. Any other error would end its tasks.
            raise KafkaConnectionError(str(error)) from error

    def extensions(self) -> dict[str, str]:
        return self._connection.extensions


class _BlockingTokenProvider(BlockingTokenProvider):  # type: ignore[misc]  # kafka-python is untyped
    """Provides kafka-python with a token for each connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def token(self) -> str:
        return blocking_token(self._connection)

    def extensions(self) -> dict[str, str]:
        return self._connection.extensions
