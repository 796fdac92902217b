"""Ask for the state of a pipeline again and again, in a thread that holds up nobody, even when Kafka doesn't answer."""

import threading
from collections.abc import Callable

from tickertape.stream.errors import TickertapeError
from tickertape.stream.watch.state import State

EVERY_SECONDS = 1.0


class Asking:
    """Asks until it is stopped.

    Parameters
    ----------
    now
        Returns the state.
    told
        Receives each state, or why there is none; called from the thread.
    every_seconds
        The pause between two questions.
    """

    def __init__(
        self, now: Callable[[], State], told: Callable[[State | str], None], every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._now = now
        self._told = told
        self._every_seconds = every_seconds
        self._over = threading.Event()
        # An answer may take long to come, and who quits doesn't wait for it.
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. What has been asked may still be answered."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                answer: State | str = self._now()
            except TickertapeError as error:
                answer = str(error)
            # A broker that comes and goes makes its library fail in many ways.
            except Exception as error:
                answer = f"Kafka's answer can't be read: {error!r}"
            if not self._over.is_set():
                self._told(answer)
            self._over.wait(self._every_seconds)
