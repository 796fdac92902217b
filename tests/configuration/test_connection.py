import logging
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from click.testing import CliRunner

from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.connection import Connection, Secret
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings, load
from tickertape.stream.errors import ConfigError

SCRAM = {
    "TICKERTAPE_BROKER": "kafka:9093",
    "TICKERTAPE_SECURITY_PROTOCOL": "SASL_SSL",
    "TICKERTAPE_SASL_MECHANISM": "SCRAM-SHA-512",
    "TICKERTAPE_SASL_USERNAME": "worker",
    "TICKERTAPE_SASL_PASSWORD": "hush-hush",
}


def test_the_environment() -> None:
    settings = load(SCRAM | {"TICKERTAPE_TLS_CA": "ca.pem"})
    assert (settings.broker, settings.security_protocol, settings.tls_ca) == ("kafka:9093", "SASL_SSL", "ca.pem")
    assert (settings.sasl_mechanism, settings.sasl_username) == ("SCRAM-SHA-512", "worker")
    assert settings.password() == "hush-hush"


def test_a_password_of_a_file_has_no_line_s_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" a b\xc3\xa9 \r\n")
    given = {name: text for name, text in SCRAM.items() if name != "TICKERTAPE_SASL_PASSWORD"}
    assert load(given | {"TICKERTAPE_SASL_PASSWORD_FILE": str(file)}).password() == " a bé "
    file.write_bytes(b"\xffhush")
    with pytest.raises(ConfigError) as caught:
        load(given | {"TICKERTAPE_SASL_PASSWORD_FILE": str(file)}).password()
    assert str(caught.value) == f"setting: sasl_password_file: {file} can't be read: it isn't UTF-8"


def test_a_secret_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    settings = load(SCRAM)
    logging.getLogger("stream").warning("%s %r %s", settings, settings, [settings.sasl_password])
    try:
        raise RuntimeError(settings, settings.sasl_password)
    except RuntimeError:
        shown = traceback.format_exc()
    assert "hush" not in caplog.text + shown + f"{settings.sasl_password!s:>20}"
    assert "sasl_password=set, not shown" in caplog.text


def test_the_command_shows_whether_it_is_set() -> None:
    lines = CliRunner().invoke(cli, ["settings"], env=SCRAM).stdout.splitlines()
    assert "sasl_password = set, not shown  (default not set; TICKERTAPE_SASL_PASSWORD)" in lines
    assert not any("hush" in line for line in lines)


def test_the_supervisor_s_children_get_it_by_the_environment_and_replay_s_by_their_pipe() -> None:
    settings = load(SCRAM)
    found = {name: text for name, text in environment(settings).items() if name.startswith("TICKERTAPE_")}
    assert found["TICKERTAPE_SASL_PASSWORD"] == "hush-hush"
    assert load(found) == settings == pickle.loads(pickle.dumps(settings))


def test_a_secret_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "tickertape.toml"
    file.write_text('security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\nsasl_password = 71717171\n')
    with pytest.raises(ConfigError) as caught:
        load({"TICKERTAPE_CONFIG": str(file)})
    assert str(caught.value) == "setting: Expected `str` - at `$.sasl_password`; see `tickertape settings`"


OAUTH = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}
CLIENT = {"sasl_username": "id", "sasl_password": Secret("s")}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"security_protocol": "TLS"}, "security_protocol is 'TLS' but must be PLAINTEXT, SSL, SASL_PLAINTEXT or "),
        ({"tls_ca": "ca"}, "tls_ca is set, but security_protocol is PLAINTEXT, which doesn't use it: set "),
        ({"security_protocol": "SSL", "sasl_password": Secret("s")}, "sasl_password is set, but security_protocol is "),
        ({"security_protocol": "SSL", "tls_key": "key"}, "tls_key is set, but not tls_certificate: "),
        ({"security_protocol": "SSL", "tls_key_password": Secret("s")}, "tls_key_password is set, but not tls_certif"),
        (
            {"security_protocol": "SSL", "tls_certificate": "c", "tls_key_password": Secret("s")}
            | {"tls_key_password_file": "f"},
            "tls_key_password and tls_key_password_file are both set: remove one",
        ),
        ({"security_protocol": "SASL_SSL"}, "security_protocol is SASL_SSL, but sasl_mechanism isn't set: set it to "),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "scram"}, "sasl_mechanism is 'scram' but must be PLAIN, "),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "me"},
            "sasl_mechanism PLAIN needs sasl_username, and sasl_password or sasl_password_file",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_password_file": "f", **CLIENT},
            "sasl_password and sasl_password_file are both set: remove one",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_scope": "kafka", **CLIENT},
            "sasl_scope is set, but only sasl_mechanism OAUTHBEARER uses it",
        ),
        (OAUTH, "OAUTHBEARER needs one of sasl_token_file and sasl_token_url"),
        (
            OAUTH | {"sasl_token_url": "https://localhost", "sasl_token_file": "f"},
            "OAUTHBEARER needs one of sasl_token_file",
        ),
        (OAUTH | {"sasl_token_url": "https://localhost"}, "sasl_token_url needs sasl_username (the client's id), and "),
        (
            OAUTH | {"sasl_token_url": "{}://elsewhere".format("http"), **CLIENT},
            "sasl_token_url must begin with https://, because a secret is sent",
        ),
        (OAUTH | {"sasl_token_file": "f", "sasl_extensions": ["x"]}, "sasl_extensions must be name=value, several "),
    ],
)
def test_what_contradicts_itself_is_said(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Connection("kafka:1", **given)  # type: ignore[arg-type]  # as a file would say it
    assert str(caught.value).startswith(f"setting: {told}")
    assert "\n" not in str(caught.value)


def test_what_goes_along_with_a_token() -> None:
    extensions = ["logicalCluster=lkc-1", "identityPoolId=pool=2"]
    connection = Settings("kafka:1", **OAUTH, sasl_token_file="f", sasl_extensions=extensions)
    assert connection.extensions == {"logicalCluster": "lkc-1", "identityPoolId": "pool=2"}
    environ = {name: text for name, text in environment(connection).items() if name.startswith("TICKERTAPE_")}
    assert load(environ) == connection


def test_a_broker_of_our_own_has_no_security() -> None:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TICKERTAPE_")}
    environ |= SCRAM | {"TICKERTAPE_BROKER": ""}
    for command in (["up"], ["demo"]):
        done = subprocess.run(
            [sys.executable, "-m", "tickertape", *command],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "tickertape: security_protocol is SASL_SSL, but no broker is set, and the embedded Kafka is PLAINTEXT: "
            "name yours with --broker or TICKERTAPE_BROKER\n"
        )
