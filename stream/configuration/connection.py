"""The connection settings: Kafka's address, encryption and authentication. Every client needs them."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from tickertape.stream.errors import ConfigError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
# The hosts to which a secret may be sent without TLS.
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Secret:
    """A text that is never shown: not by ``print``, in logs or in tracebacks.

    Examples
    --------
    >>> f"{Secret('hush')}", Secret("hush").reveal()
    ('set, not shown', 'hush')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "set, not shown" if self._text else ""

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Connection(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that say how to connect to Kafka.

    Certificates and passwords are read when a client is created, so a running process keeps the ones that it has read.
    A token is requested for each connection. docs/security.md has complete settings for several services.

    Attributes
    ----------
    broker
        The address of Kafka, ``host:port``; several are separated by commas. If it is empty, commands that can start
        an embedded Kafka do so.
    security_protocol
        The protocol of the broker's port: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
    tls_ca
        A PEM file with the authorities that may have signed the broker's certificate. Empty: those of the system.
    tls_certificate, tls_key
        PEM files with the client certificate and its key. The key may be in the certificate's file. Empty: no client
        certificate is sent.
    tls_key_password, tls_key_password_file
        The password of the key, or a file with the password.
    sasl_mechanism
        ``PLAIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-512`` or ``OAUTHBEARER``, for protocols with SASL in their name.
    sasl_username
        The user's name; with ``sasl_token_url``, the client's id.
    sasl_password, sasl_password_file
        The user's password, or a file with the password; with ``sasl_token_url``, the client's secret.
    sasl_token_file
        OAUTHBEARER: a file with a token. It is read for each connection, so it may be replaced at any time.
    sasl_token_url
        OAUTHBEARER: the https address that issues tokens for client credentials (OAuth 2.0, RFC 6749, section 4.4).
    sasl_scope
        OAUTHBEARER: the scope to request from ``sasl_token_url``. Empty: none.
    sasl_extensions
        OAUTHBEARER: ``name=value`` pairs to send with the token: logicalCluster=lkc-1,identityPoolId=pool-2.
    """

    broker: str = ""
    security_protocol: str = "PLAINTEXT"
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_key_password: Secret = Secret()
    tls_key_password_file: str = ""
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: Secret = Secret()
    sasl_password_file: str = ""
    sasl_token_file: str = ""
    sasl_token_url: str = ""
    sasl_scope: str = ""
    sasl_extensions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check that the settings fit together.

        Raises
        ------
        ConfigError
            A setting needs another one that is missing, or has no effect with another one.
        """
        _one_of("security_protocol", self.security_protocol, PROTOCOLS)
        if self.sasl_mechanism:
            _one_of("sasl_mechanism", self.sasl_mechanism, MECHANISMS)
        self._check_tls()
        self._check_sasl()

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL_")

    @property
    def extensions(self) -> dict[str, str]:
        """The extensions to send with a token, by name."""
        return dict(_name_and_value(text) for text in self.sasl_extensions)

    def key_password(self) -> str:
        """Return the password of the client certificate's key; empty if none is set.

        Raises
        ------
        ConfigError
            The password's file can't be read.
        """
        return _secret("tls_key_password_file", self.tls_key_password, self.tls_key_password_file)

    def password(self) -> str:
        """Return the user's password.

        Raises
        ------
        ConfigError
            The password's file can't be read.
        """
        return _secret("sasl_password_file", self.sasl_password, self.sasl_password_file)

    def _check_tls(self) -> None:
        if not self.uses_tls:
            self._refuse_any_of("tls_", "SSL or SASL_SSL")
        if self.tls_key and not self.tls_certificate:
            raise ConfigError("setting: tls_key is set, but not tls_certificate: a key needs its certificate")
        if (self.tls_key_password or self.tls_key_password_file) and not self.tls_certificate:
            raise ConfigError("setting: tls_key_password is set, but not tls_certificate")
        if self.tls_key_password and self.tls_key_password_file:
            raise ConfigError("setting: tls_key_password and tls_key_password_file are both set: remove one")

    def _check_sasl(self) -> None:
        if not self.uses_sasl:
            return self._refuse_any_of("sasl_", "SASL_SSL or SASL_PLAINTEXT")
        if self.sasl_password and self.sasl_password_file:
            raise ConfigError("setting: sasl_password and sasl_password_file are both set: remove one")
        has_user = bool(self.sasl_username and (self.sasl_password or self.sasl_password_file))
        if not self.sasl_mechanism:
            raise ConfigError(
                f"setting: security_protocol is {self.security_protocol}, but sasl_mechanism isn't set: set it to "
                f"{_or(MECHANISMS)}"
            )
        if self.sasl_mechanism != "OAUTHBEARER":
            if not has_user:
                raise ConfigError(
                    f"setting: sasl_mechanism {self.sasl_mechanism} needs sasl_username, and sasl_password or "
                    "sasl_password_file"
                )
            if name := next((name for name in _OF_TOKENS if getattr(self, name)), None):
                raise ConfigError(f"setting: {name} is set, but only sasl_mechanism OAUTHBEARER uses it")
            return None
        if bool(self.sasl_token_file) == bool(self.sasl_token_url):
            raise ConfigError("setting: OAUTHBEARER needs one of sasl_token_file and sasl_token_url")
        if self.sasl_token_url:
            if not has_user:
                raise ConfigError(
                    "setting: sasl_token_url needs sasl_username (the client's id), and sasl_password or "
                    "sasl_password_file (its secret)"
                )
            url = urlsplit(self.sasl_token_url)
            if url.scheme != "https" and not (url.scheme == "http" and is_here(url.hostname or "")):
                raise ConfigError("setting: sasl_token_url must begin with https://, because a secret is sent there")
        for text in self.sasl_extensions:
            _name_and_value(text)
        return None

    def _refuse_any_of(self, prefix: str, protocols: str) -> None:
        for name in Connection.__struct_fields__:
            if name.startswith(prefix) and getattr(self, name):
                raise ConfigError(
                    f"setting: {name} is set, but security_protocol is {self.security_protocol}, which doesn't use it: "
                    f"set security_protocol to {protocols}"
                )


_OF_TOKENS = ("sasl_token_file", "sasl_token_url", "sasl_scope", "sasl_extensions")


def is_here(host: str) -> bool:
    """Return whether a host is this machine itself, to which a secret may be sent without TLS."""
    return host in _LOOPBACK


def secret_from(kind: type, value: Any) -> Any:
    """Convert a text to a `Secret`, as a ``dec_hook`` of msgspec.

    Raises
    ------
    TypeError
        The value isn't a text. The message doesn't show the value.
    """
    if kind is not Secret:
        raise NotImplementedError(f"no setting is a {kind.__name__}")
    if not isinstance(value, str):
        raise TypeError("Expected `str`")
    return Secret(value)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"setting: {name} is {value!r} but must be {_or(known)}")


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _name_and_value(text: str) -> tuple[str, str]:
    name, is_there, value = text.partition("=")
    if not (name and is_there):
        raise ConfigError("setting: sasl_extensions must be name=value, several separated by commas")
    return name, value


def _secret(name: str, given: Secret, path: str) -> str:
    if not path:
        return given.reveal()
    try:
        # Editors and `echo` add an end of line that isn't part of the secret.
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"setting: {name}: {path} can't be read: {_reason(error)}") from None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    # The message of a UnicodeDecodeError would show bytes of the file.
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it isn't UTF-8"
