"""The file that the setting ``alerts`` names: channels, and routes from signals to them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct, field

from tickertape.schemas.alert import Alert, Severity
from tickertape.schemas.topics import ALERTS
from tickertape.stream.alerts.define.channel import Channel
from tickertape.stream.configuration.entries import entries_in
from tickertape.stream.configuration.numbers import not_finite
from tickertape.stream.errors import ConfigError

# Our own channels are found in the same way as those of users.
OURS = "tickertape.stream.alerts.channels"
# Half of what the outbox remembers, so that nothing that is forgotten can still be sent.
MOST_SECONDS = ALERTS.retention_ms / 2000

Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)]
Name = Annotated[str, Meta(max_length=64, pattern=r"^[\w.-]+$")]
Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Quiet(Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the day in which a route sends nothing.

    Attributes
    ----------
    begins, ends
        The first minute, and the first one after: ``22:00`` and ``07:00``.
    zone
        The time zone: ``Europe/Berlin``.
    drop
        True to never send signals of these hours; False to send them afterwards.
    not_for
        Severities that are sent all the same.
    """

    begins: Clock
    ends: Clock
    zone: str
    drop: bool = False
    not_for: list[Severity] = field(default_factory=list)

    def until_ms(self, now_ms: int) -> int:
        """Return when the quiet hours that it is now end, ms; 0 if there are none now."""
        zone = ZoneInfo(self.zone)
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
        begins, ends = time.fromisoformat(self.begins), time.fromisoformat(self.ends)
        clock = now.time()
        over_midnight = begins > ends
        if not (begins <= clock or clock < ends if over_midnight else begins <= clock < ends):
            return 0
        day = now.date() + timedelta(days=over_midnight and clock >= begins)
        return int(datetime.combine(day, ends, zone).timestamp() * 1000)


class Route(Struct, frozen=True, forbid_unknown_fields=True):
    """Which signals go to which channels, and how.

    Attributes
    ----------
    channels
        The names of the channels.
    rules, symbols, sources, resolutions
        Only signals of these; ``*`` stands for any text: ``BTC-*``.
    severities
        Only signals of rules of these severities.
    provisional
        True to send signals before they are final too.
    confirm_seconds
        A provisional signal is retracted unless it is final within this time after it was received; 0: never.
    group_seconds
        How long a message waits for further signals that it reports too.
    max_age_seconds
        A signal isn't sent later than this after the end of its window, or of the quiet hours.
    picture
        True to add a picture of the price, on channels that take one.
    quiet
        The quiet hours; None for none.
    """

    channels: Annotated[list[str], Meta(min_length=1)]
    rules: list[str] = field(default_factory=lambda: ["*"])
    symbols: list[str] = field(default_factory=lambda: ["*"])
    sources: list[str] = field(default_factory=lambda: ["*"])
    resolutions: list[str] = field(default_factory=lambda: ["*"])
    severities: list[Severity] = field(default_factory=lambda: ["info", "warning", "critical"])
    provisional: bool = False
    confirm_seconds: Seconds = 300.0
    group_seconds: Seconds = 5.0
    max_age_seconds: Seconds = 900.0
    picture: bool = False
    quiet: Quiet | None = None

    def takes(self, alert: Alert) -> bool:
        """Return whether the route is for an alert."""
        if alert.severity not in self.severities or not (alert.final or self.provisional):
            return False
        wanted = (self.rules, alert.rule), (self.symbols, alert.symbol), (self.sources, alert.source)
        return all(
            any(fnmatchcase(value, pattern) for pattern in patterns)
            for patterns, value in (*wanted, (self.resolutions, alert.resolution))
        )

    def quiet_until_ms(self, severity: Severity, now_ms: int) -> int:
        """Return when the quiet hours for a severity end, ms; 0 if it may be sent now."""
        return 0 if self.quiet is None or severity in self.quiet.not_for else self.quiet.until_ms(now_ms)


class _File(Struct, forbid_unknown_fields=True):
    severity: dict[str, Severity] = field(default_factory=dict)
    channel: list[dict[str, Any]] = field(default_factory=list)
    route: list[Route] = field(default_factory=list)


class Plan(Struct, frozen=True):
    """The contents of the file.

    Attributes
    ----------
    severities
        The severity of each rule; a rule that is left out is a ``warning``.
    channels
        The channels, by name.
    routes
        The routes, in order.
    """

    severities: dict[str, Severity]
    channels: dict[str, Channel]
    routes: list[Route]

    def of(self, alert: Alert) -> Iterator[tuple[str, Route]]:
        """Yield each channel that an alert goes to, with the first route that leads there."""
        for name in self.channels:
            for route in self.routes:
                if name in route.channels and route.takes(alert):
                    yield name, route
                    break

    @property
    def max_age_seconds(self) -> float:
        """The highest age at which a signal is still sent, by any route."""
        return max((route.max_age_seconds for route in self.routes), default=0.0)


def load(path: str, places: Sequence[str], environ: Mapping[str, str] | None = None) -> Plan:
    """Read the file.

    Parameters
    ----------
    path
        The file.
    places
        Packages and folders that define more kinds of channels: the setting ``agents``.
    environ
        The environment with the secrets that ``…_env`` names; by default that of the process.

    Raises
    ------
    ConfigError
        The file can't be read, or something in it isn't valid. The message never shows a secret.
    """
    if not path:
        raise ConfigError("setting: alerts names no file, so there is no channel; see docs/alerts.md")
    try:
        file = msgspec.toml.decode(Path(path).read_bytes(), type=_File)
        base: type[Channel] = Channel  # type: ignore[type-abstract]  # it is never made itself
        channels = entries_in(file.channel, base, "channel", [OURS, *places], Path(path).parent, environ)
        plan = Plan(file.severity, channels, file.route)
        _check(plan)
    except (OSError, ValueError) as error:
        raise ConfigError(f"setting: alerts={path}: {error}; see docs/alerts.md") from None
    return plan


def _check(plan: Plan) -> None:
    for name in plan.channels:
        try:
            msgspec.convert(name, Name)
        except msgspec.ValidationError:
            wrong = "a name has letters, digits, `_`, `.` and `-`, and at most 64"
            raise ValueError(f"channel {name!r}: {wrong}") from None
    for number, route in enumerate(plan.routes, 1):
        for name in route.channels:
            if name not in plan.channels:
                raise ValueError(f"route {number}: there is no channel {name}")
        for path in not_finite(route):
            raise ValueError(f"route {number}: {path} isn't a finite number")
        if route.quiet is not None:
            try:
                ZoneInfo(route.quiet.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"route {number}: no such time zone, {route.quiet.zone}") from None
            if route.quiet.begins == route.quiet.ends:
                raise ValueError(f"route {number}: the quiet hours end when they begin")
