"""Records that are not counted, as they are reported: bounded, whatever they were."""

from hashlib import sha256

from schemas.refused import DeadLetter

#: The most that is kept of a record's bytes.
HEAD_BYTES = 64 << 10


def dead_letter(topic: str, partition: int, offset: int, reason: str, value: bytes | None) -> DeadLetter:
    """Return what is reported of a record that was rejected."""
    whole = value or b""
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        reason=reason,
        value=whole[:HEAD_BYTES],
        size_bytes=len(whole),
        sha256=sha256(whole).hexdigest() if len(whole) > HEAD_BYTES else "",
    )


def text_of(value: bytes | None) -> str:
    """Return the head of a record's bytes as text."""
    return (value or b"")[:HEAD_BYTES].decode(errors="replace")
