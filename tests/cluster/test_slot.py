"""A slot's process, without Kafka: it is started again, whatever it was told when it ended."""

import os
import sys
import threading

from tickertape.stream.cluster.slot import Slot

# It hears nothing, says so, and runs on.
DEAF = "import os, time; os.close(0); print('deaf', flush=True); time.sleep(60)"


def test_a_process_that_could_not_be_told_is_started_again() -> None:
    deaf = [threading.Event(), threading.Event()]

    def say(line: str) -> None:
        if "deaf" in line:
            next(event for event in deaf if not event.is_set()).set()

    slot = Slot([sys.executable, "-c", DEAF], dict(os.environ), "one", say, lambda _: True)
    try:
        assert deaf[0].wait(30)
        slot.write("nobody reads this\n")
        slot.kill()
        assert deaf[1].wait(30)
    finally:
        slot.end()
        slot.join(0.0)
