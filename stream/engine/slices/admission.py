"""Rejects records and heartbeats whose event time is too far ahead of their receipt."""

import numpy as np

from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.slices.decode import Decoded

# Stands for a time that a record lacks; later than all others, so a minimum ignores it.
_UNKNOWN_MS = np.iinfo(np.int64).max // 2


def admitted(block: Block, decoded: Decoded, skew_ms: int, latest_ms: int = 0) -> Decoded:
    """Return the records and heartbeats with a plausible time; the others are added to the rejects.

    Parameters
    ----------
    block, decoded
        The block, and its decoded records.
    skew_ms
        How far an event time may be past its receipt, ms.
    latest_ms
        The latest time at which the records can have been received, ms; 0 if that is unknown.
    """
    received_ms = _received_ms(block, decoded)
    had_ms = np.minimum(received_ms, latest_ms) if latest_ms else received_ms
    early = decoded.time_ms > had_ms + skew_ms
    if np.count_nonzero(early):
        for i in np.flatnonzero(early).tolist():
            ahead_ms = int(decoded.time_ms[i] - received_ms[i])
            # Without a receipt, the limit is the time of the replay. It differs each time, so the reason leaves it out.
            reason = (
                f"event time is {ahead_ms} ms past its receipt, and skew_ms is {skew_ms}"
                if ahead_ms > skew_ms
                else "event time is in the future"
            )
            decoded.rejects.append((int(decoded.at[i]), reason))
        decoded = decoded.where(~early)
    if decoded.heartbeats:
        _leave_out_early_heartbeats(block, decoded, skew_ms)
    return decoded


def _received_ms(block: Block, decoded: Decoded) -> Ints:
    """Return when each record was received: the earlier of the feed's time, if it has one, and the append time."""
    received_ms, appended_ms = decoded.received_ms, block.appended_ms[decoded.at]
    return np.minimum(
        np.where(received_ms > 0, received_ms, _UNKNOWN_MS), np.where(appended_ms > 0, appended_ms, _UNKNOWN_MS)
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
