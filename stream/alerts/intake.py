"""Decides which facts follow from a signal, and from the time that passes. It neither reads nor sends."""

from collections.abc import Iterator, Mapping
from typing import Any

from tickertape.schemas.alert import Alert, Due, Fact, Outcome, Skipped, Stage, delivery
from tickertape.stream.alerts.outbox import Outbox
from tickertape.stream.alerts.plan import Plan, Route


class Intake:
    """Turns signals into facts for an outbox. The caller records them, and applies them before the next call.

    Parameters
    ----------
    plan
        Channels and routes.
    outbox
        What is known already.
    widths_ms
        The widths of the resolutions, by name.
    """

    def __init__(self, plan: Plan, outbox: Outbox, widths_ms: Mapping[str, int]) -> None:
        self._plan, self._outbox, self._widths_ms = plan, outbox, widths_ms

    def alert_of(self, signal: Any) -> Alert:
        """Return a signal as an alert, with the end of its window and its rule's severity."""
        same = {name: getattr(signal, name) for name in Alert.__struct_fields__ if name not in ("end_ms", "severity")}
        return Alert(
            **same,
            end_ms=signal.start_ms + self._widths_ms[signal.resolution],
            severity=self._plan.severities.get(signal.rule, "warning"),
        )

    def received(self, alert: Alert, now_ms: int) -> Iterator[Fact]:
        """Yield the facts that follow from a signal, which may have been received before.

        Parameters
        ----------
        alert
            The signal.
        now_ms
            The time now.
        """
        for channel, route in self._plan.of(alert):
            first = delivery(channel, "fired", alert.id)
            if first not in self._outbox:
                yield self._first(channel, route, alert, now_ms)
            elif (due := self._outbox.first_of(first)) is not None and not due.alert.final and alert.final:
                yield from self._final(channel, route, alert, due, now_ms)

    def _first(self, channel: str, route: Route, alert: Alert, now_ms: int) -> Fact:
        quiet = route.quiet_until_ms(alert.severity, now_ms)
        if quiet and route.quiet is not None and route.quiet.drop:
            return Skipped(channel, "fired", alert.id, "quiet")
        if now_ms > alert.end_ms + route.max_age_seconds * 1000:
            return Skipped(channel, "fired", alert.id, "too old")
        return _due(channel, "fired", route, alert, now_ms, alert.end_ms)

    def _final(self, channel: str, route: Route, alert: Alert, first: Due, now_ms: int) -> Iterator[Fact]:
        """Yield what follows if an alert that was provisional is final now."""
        name = first.delivery
        if name in self._outbox.waiting:
            # Nobody has been told yet: the message will have the final values.
            yield Due(channel, "fired", alert, first.open_ms, first.ready_ms, first.expires_ms, 0, first.picture)
            return
        if delivery(channel, "confirmed", alert.id) in self._outbox:
            return
        retracted = delivery(channel, "retracted", alert.id)
        told = retracted in self._outbox
        if retracted in self._outbox.waiting:
            yield Skipped(channel, "retracted", alert.id, "unchanged")
            told = False
        if told or (alert.value, alert.level) != (first.alert.value, first.alert.level):
            yield _due(channel, "confirmed", route, alert, now_ms, now_ms)
        else:
            yield Skipped(channel, "confirmed", alert.id, "unchanged")

    def passed(self, now_ms: int) -> Iterator[Fact]:
        """Yield the facts that follow from the time alone.

        Parameters
        ----------
        now_ms
            The time now.
        """
        for due in self._outbox.waiting.values():
            if (outcome := self._moot(due, now_ms)) is not None:
                yield Skipped(due.channel, due.stage, due.alert.id, outcome)
        for one in self._outbox.reported.values():
            first = one.due
            follow_ups = (delivery(first.channel, stage, first.alert.id) for stage in _FOLLOW_UPS)
            if 0 < first.confirm_by_ms < now_ms and not any(name in self._outbox for name in follow_ups):
                route = next((r for channel, r in self._plan.of(first.alert) if channel == first.channel), None)
                if route is None:
                    yield Skipped(first.channel, "retracted", first.alert.id, "no route")
                else:
                    yield _due(first.channel, "retracted", route, first.alert, now_ms, now_ms)

    def _moot(self, due: Due, now_ms: int) -> Outcome | None:
        """Return why something that is due isn't sent; None if it still is."""
        if now_ms > due.expires_ms:
            return "too old"
        if due.stage == "fired":
            return "unconfirmed" if due.confirm_by_ms and now_ms > due.confirm_by_ms else None
        first = delivery(due.channel, "fired", due.alert.id)
        return "not sent" if self._outbox.is_over(first) and first not in self._outbox.reported else None


_FOLLOW_UPS: tuple[Stage, ...] = ("confirmed", "retracted")


def _due(channel: str, stage: Stage, route: Route, alert: Alert, now_ms: int, since_ms: int) -> Due:
    """Return what is due; `since_ms` is from when on it ages."""
    open_ms = route.quiet_until_ms(alert.severity, now_ms) or now_ms
    age_ms, group_ms = int(route.max_age_seconds * 1000), int(route.group_seconds * 1000)
    # The wait for the end of quiet hours, and for the group, isn't held against it.
    expires_ms = (max(since_ms, open_ms) if open_ms > now_ms else since_ms) + age_ms + group_ms
    waits = stage == "fired" and not alert.final and route.confirm_seconds > 0
    confirm_by_ms = now_ms + int(route.confirm_seconds * 1000) if waits else 0
    return Due(channel, stage, alert, open_ms, open_ms + group_ms, expires_ms, confirm_by_ms, route.picture)
