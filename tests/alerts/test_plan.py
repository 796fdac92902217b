"""The file of channels and routes: what it may say, and what it may not."""

from pathlib import Path

import pytest

from tests.alerts.made import alert
from tickertape.stream.alerts.channels.webhook import Webhook
from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.alerts.plan import OURS, Plan, Quiet, Route, load
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.entries import kinds_in
from tickertape.stream.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "docs" / "alerts.toml"
OPS = '[[channel]]\nname = "ops"\nkind = "webhook"\nurl_env = "URL"\n'
PAGER = """
from typing import ClassVar

from tickertape import Channel, Http, Message, Secret


class Pager(Channel, frozen=True, kw_only=True):
    kind: ClassVar[str] = "{kind}"

    token: Secret
    loud: bool = False

    async def send(self, message: Message, http: Http) -> str:
        return message.id
"""


def read(tmp_path: Path, text: str, **environ: str) -> Plan:
    file = tmp_path / "alerts.toml"
    file.write_text(text)
    return load(str(file), [], {"URL": "http://h/s3cret", **environ})


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    (tmp_path / "alerts.toml").write_text(EXAMPLE.read_text())
    for name in ("slack-token", "mail-password"):
        (tmp_path / name).write_text("hush\n")
    plan = load(str(tmp_path / "alerts.toml"), [], {"TELEGRAM_TOKEN": "1:AA", "PAGER_URL": "https://pager.example.org"})
    assert {channel.kind for channel in plan.channels.values()} == set(kinds_in([OURS], Channel, "channel"))
    assert len(plan.routes) >= 3


def test_secrets_come_from_the_environment_or_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush\n")
    plan = read(tmp_path, OPS + 'token_file = "token"\n')
    assert plan.channels == {"ops": Webhook(name="ops", url=Secret("http://h/s3cret"), token=Secret("hush"))}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[channel]]\nname = "ops"\nkind = "fax"', "no such kind, fax; there are alertmanager, mail, slack, telegram"),
        ('[[channel]]\nname = "ops"\nkind = "webhook"\nurl = "http://h/s3cret"', "url is a secret: write url_env or"),
        ('[[channel]]\nname = "ops"\nkind = "webhook"\nurl_env = "NOPE"', "url_env names NOPE, which isn't set"),
        ('[[channel]]\nname = "ops"\nkind = "webhook"\nurl_file = "no"', "url_file can't be read: FileNotFoundError"),
        (OPS + "color = 1", "channel ops: Object contains unknown field `color`"),
        (OPS + OPS, "two channels have the name ops"),
        (OPS.replace("ops", "o|ps"), "a name has letters"),
        ('[[channel]]\nname = "s"\nkind = "slack"', "channel s: set one of url and token"),
        ('[[route]]\nchannels = ["ops"]', "route 1: there is no channel ops"),
        (OPS + '[[route]]\nchannels = ["ops"]\ngroup_seconds = -1', "Expected `float` >= 0"),
        (OPS + '[[route]]\nchannels = ["ops"]\ngroup_seconds = nan', "Expected|finite"),
        (OPS + '[[route]]\nchannels = ["ops"]\nseverities = ["loud"]', "Invalid enum value 'loud'"),
        (OPS + '[[route]]\nchannels = ["ops"]\nquiet = {begins = "22:00", ends = "7:00", zone = "UTC"}', "regex"),
        (OPS + '[[route]]\nchannels = ["ops"]\nquiet = {begins = "22:00", ends = "07:00", zone = "Mars/X"}', "Mars/X"),
        (OPS + '[[route]]\nchannels = ["ops"]\nquiet = {begins = "22:00", ends = "22:00", zone = "UTC"}', "end when"),
        ("[[channel]", "alerts="),
    ],
)
def test_what_is_wrong_is_told_without_a_secret(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as found:
        read(tmp_path, text)
    assert "s3cret" not in str(found.value)
    assert str(found.value).endswith("see docs/alerts.md")


def test_no_file_is_told_of() -> None:
    with pytest.raises(ConfigError, match="setting: alerts names no file"):
        load("", [])


def test_a_channel_of_a_users_own_is_found(tmp_path: Path) -> None:
    (tmp_path / "pager.py").write_text(PAGER.format(kind="pager"))
    (tmp_path / "alerts.toml").write_text('[[channel]]\nname = "p"\nkind = "pager"\ntoken_env = "T"\nloud = true\n')
    plan = load(str(tmp_path / "alerts.toml"), [f"{tmp_path}/"], {"T": "hush"})
    assert plan.channels["p"].loud  # type: ignore[attr-defined]  # it is a field of the file above


def test_two_kinds_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pager.py").write_text(PAGER.format(kind="slack"))
    with pytest.raises(ConfigError, match="a kind of channel slack exists already"):
        kinds_in([OURS, f"{tmp_path}/"], Channel, "channel")


def test_routes_choose_by_what_a_signal_is() -> None:
    assert Route(["ops"]).takes(alert())
    assert Route(["ops"], symbols=["ETH-*", "BTC-*"], rules=["break*"]).takes(alert())
    for wrong in ({"symbols": ["ETH-*"]}, {"rules": ["x"]}, {"sources": ["sim"]}, {"resolutions": ["1m"]}):
        assert not Route(["ops"], **wrong).takes(alert())
    assert not Route(["ops"], severities=["info"]).takes(alert())
    assert not Route(["ops"]).takes(alert(final=False))
    assert Route(["ops"], provisional=True).takes(alert(final=False))


def test_each_channel_gets_it_by_the_first_route_that_leads_there() -> None:
    first, second = Route(["a", "b"], symbols=["ETH-*"]), Route(["b", "a"])
    plan = Plan({}, dict.fromkeys("abc"), [first, second, Route(["a"])])  # type: ignore[arg-type]  # not called
    assert list(plan.of(alert())) == [("a", second), ("b", second)]
    assert list(plan.of(alert(symbol="ETH-USD"))) == [("a", first), ("b", first)]


# Times in ms worked out with `date -d`. Berlin is at UTC+1 in winter; on 26 March 2023 at 02:00 it went to UTC+2.
NIGHT = Quiet("22:00", "07:00", "Europe/Berlin")


@pytest.mark.parametrize(
    ("quiet", "now_ms", "until_ms"),
    [
        (NIGHT, 1_679_777_999_000, 0),  # Saturday 25 March 2023, 21:59:59
        (NIGHT, 1_679_778_000_000, 1_679_806_800_000),  # 22:00, until Sunday 07:00, which is 05:00 UTC
        (NIGHT, 1_679_792_400_000, 1_679_806_800_000),  # Sunday 03:00, in summer time
        (NIGHT, 1_679_806_799_000, 1_679_806_800_000),
        (NIGHT, 1_679_806_800_000, 0),
        (Quiet("12:00", "13:00", "UTC"), 1_679_831_999_000, 0),
        (Quiet("12:00", "13:00", "UTC"), 1_679_832_000_000, 1_679_835_600_000),  # Sunday 12:00 UTC
        (Quiet("12:00", "13:00", "UTC"), 1_679_835_600_000, 0),
    ],
)
def test_quiet_hours_are_those_of_the_zone(quiet: Quiet, now_ms: int, until_ms: int) -> None:
    assert quiet.until_ms(now_ms) == until_ms


def test_some_severities_are_sent_in_quiet_hours() -> None:
    route = Route(["ops"], quiet=Quiet("22:00", "07:00", "Europe/Berlin", not_for=["critical"]))
    assert route.quiet_until_ms("critical", 1_679_778_000_000) == 0
    assert route.quiet_until_ms("warning", 1_679_778_000_000) == 1_679_806_800_000
