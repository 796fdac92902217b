"""What the publishing of events needs from a producer."""

from collections.abc import Sequence
from typing import Protocol


class Records(Protocol):
    """What records are sent to, such as a `tickertape.stream.kafka.clients.producer.Producer`."""

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None: ...

    async def room(self) -> None: ...

    async def flush(self) -> None: ...

    async def partitions(self, topic: str) -> int: ...
