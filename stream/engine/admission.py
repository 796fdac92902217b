"""Which of a block's records may count: those whose clock is sane, and whose source there is room for."""

from collections.abc import Collection

import numpy as np

from stream.engine.block import Block, Ints
from stream.engine.decode import Decoded

# A checkpoint names every source of a partition, and Kafka bounds its length: 64 names of so many bytes in UTF-8,
# though they have nothing in common, are packed into a commit with all that it says of them.
_NAMES_BYTES = 1920
_NEVER_MS = np.iinfo(np.int64).max // 2


def admitted(
    block: Block,
    decoded: Decoded,
    names: list[str],
    lanes: Collection[str],
    skew_ms: int,
    *,
    most_sources: int,
    latest_ms: int = 0,
) -> Decoded:
    """Return what may count; the rest is added to the rejects.

    Parameters
    ----------
    block
        The block.
    decoded
        What it held.
    names
        The sources, by code.
    lanes
        Those that have a lane.
    skew_ms
        How far past its receipt an event time may be.
    most_sources
        How many lanes there may be.
    latest_ms
        When all was received at the latest; 0: nobody knows.
    """
    received_ms = _received_ms(block, decoded)
    had_ms = np.minimum(received_ms, latest_ms) if latest_ms else received_ms
    early = decoded.time_ms > had_ms + skew_ms
    if early.any():
        for i in np.flatnonzero(early).tolist():
            ahead_ms = int(decoded.time_ms[i] - received_ms[i])
            # Without a receipt it is the time of a replay, which is another each time.
            reason = (
                f"event time is {ahead_ms} ms past its receipt, and skew_ms is {skew_ms}"
                if ahead_ms > skew_ms
                else "event time is in the future"
            )
            decoded.rejects.append((int(decoded.at[i]), reason))
        decoded = decoded.where(~early)
    if decoded.heartbeats:
        _leave_out_early_heartbeats(block, decoded, skew_ms)
    if any(name not in lanes for name in names) or any(beat.source not in lanes for _, beat in decoded.heartbeats):
        decoded = _of_known_sources(decoded, names, lanes, most_sources)
    return decoded


def _received_ms(block: Block, decoded: Decoded) -> Ints:
    """When the feed had each record; by the broker's clock where the feed doesn't say, or says it was later."""
    received_ms, appended_ms = decoded.received_ms, block.appended_ms[decoded.at]
    return np.minimum(
        np.where(received_ms > 0, received_ms, _NEVER_MS), np.where(appended_ms > 0, appended_ms, _NEVER_MS)
    )


def _leave_out_early_heartbeats(block: Block, decoded: Decoded, skew_ms: int) -> None:
    kept = []
    for at, beat in decoded.heartbeats:
        ahead_ms = beat.time_ms - int(block.appended_ms[at])
        if int(block.appended_ms[at]) > 0 and ahead_ms > skew_ms:
            decoded.rejects.append(
                (at, f"a heartbeat {ahead_ms} ms ahead of its append time, and skew_ms is {skew_ms}")
            )
        else:
            kept.append((at, beat))
    decoded.heartbeats[:] = kept


def _of_known_sources(decoded: Decoded, names: list[str], lanes: Collection[str], most_sources: int) -> Decoded:
    """Leave out what is of one source too many, in the order in which they come."""
    first: dict[str, int] = {}
    for at, beat in decoded.heartbeats:
        first[beat.source] = min(first.get(beat.source, at), at)
    for code in np.flatnonzero(np.bincount(decoded.source)).tolist() if len(decoded) else ():
        at = int(decoded.at[np.argmax(decoded.source == code)])
        first[names[code]] = min(first.get(names[code], at), at)
    new = sorted((at, name) for name, at in first.items() if name not in lanes)
    surplus: set[str] = set()
    n, n_bytes = len(lanes), sum(len(name.encode()) for name in lanes) if new else 0
    for _, name in new:
        if n < most_sources and n_bytes + len(name.encode()) <= _NAMES_BYTES:
            n, n_bytes = n + 1, n_bytes + len(name.encode())
        else:
            surplus.add(name)
    if not surplus:
        return decoded
    reason = f"one source too many in its partition: most_sources is {most_sources}, of {_NAMES_BYTES} bytes together"
    strange = np.array([name in surplus for name in names], np.bool_)[decoded.source]
    decoded.rejects.extend((at, reason) for at in decoded.at[strange].tolist())
    decoded.rejects.extend((at, reason) for at, beat in decoded.heartbeats if beat.source in surplus)
    decoded.heartbeats[:] = [(at, beat) for at, beat in decoded.heartbeats if beat.source not in surplus]
    return decoded.where(~strange)
