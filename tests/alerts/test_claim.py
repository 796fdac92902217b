"""Who may send, by the group of a real Kafka."""

import asyncio
from collections.abc import Callable

import pytest
from kafka.admin import MemberToRemove

from tickertape.schemas.topics import ALERTS
from tickertape.stream.alerts.claim import Claim, Lost
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.admin.client import connected

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: str, topic: Callable[..., str]) -> Settings:
    # Heartbeats are rare, so a process learns by nothing but its question that it is out.
    settings = Settings(broker=kafka, group=topic("alerts"), session_seconds=60.0)
    topics.create(settings, [ALERTS])
    return settings


def remove(settings: Settings, claim: Claim) -> None:
    """Remove a process from the group, as Kafka does when it hears nothing of it."""
    member = MemberToRemove(member_id=claim._consumer._coordinator.member_id)
    with connected(settings) as admin:
        admin.remove_group_members(claim.group, [member])


def test_one_that_was_removed_may_not_send_even_before_it_has_noticed(settings: Settings) -> None:
    async def scenario() -> bool:
        async with Claim(settings) as claim:
            await claim.outbox()
            async with claim.sending():
                pass
            await asyncio.to_thread(remove, settings, claim)
            noticed = claim.lost
            with pytest.raises(Lost):
                async with claim.sending():
                    pass
            return noticed

    assert not asyncio.run(asyncio.wait_for(scenario(), 120))


def test_a_release_waits_for_what_is_being_sent_and_nothing_more_is_sent(settings: Settings) -> None:
    async def scenario() -> None:
        async with Claim(settings) as claim:
            await claim.outbox()
            async with claim.sending():
                released = asyncio.create_task(claim.release())
                await asyncio.wait([released], timeout=0.2)
                assert not released.done()
            await released
            with pytest.raises(Lost):
                async with claim.sending():
                    pass

    asyncio.run(asyncio.wait_for(scenario(), 120))


def test_another_waits_until_the_first_ends(settings: Settings) -> None:
    async def scenario() -> None:
        async with Claim(settings) as first:
            await first.outbox()
            async with Claim(settings) as second:
                waiting = asyncio.create_task(second.outbox())
                # The first joins again when the second comes, and reads the outbox anew.
                while not first.lost:
                    await first.read()
                # What ended its work may ask for that once more, when the partition is its own again already.
                while not first._held:
                    await first.read()
                await first.release()
                await first.outbox()
                assert not waiting.done()
                with pytest.raises(Lost):
                    async with second.sending():
                        pass
                await first._consumer.stop()
                await waiting
                async with second.sending():
                    pass

    settings = Settings(broker=settings.broker, group=settings.group, session_seconds=6.0)
    asyncio.run(asyncio.wait_for(scenario(), 120))
