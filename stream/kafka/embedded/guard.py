"""The embedded broker's parent: it runs the broker, and ends it when whoever started it is gone, however that ended.

Run by path, on the standard library alone, so that it is up in some 20 ms: ``guard.py STARTER TEMPORARY JAVA …``. Its
standard input is a pipe that the starter holds: ``t`` ends the broker tidily, ``k`` at once. The end of the pipe means
that the starter is gone; then TEMPORARY, the name of a folder or nothing, is removed too.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import threading

TIDY_SECONDS = 8.0


def main() -> None:
    starter, temporary, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    broker = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: broker.terminate())
    abandoned = threading.Event()
    threading.Thread(target=_obey, args=(starter, broker, abandoned), daemon=True).start()
    code = broker.wait()
    if abandoned.is_set() and temporary:
        shutil.rmtree(temporary, ignore_errors=True)
    # As a shell says it: 137 is a broker that was killed.
    os._exit(code if code >= 0 else 128 - code)


def _obey(starter: int, broker: "subprocess.Popen[bytes]", abandoned: threading.Event) -> None:
    order = b""
    # A forked child of the starter may still hold the pipe, hence the look at our own parent once a second.
    while not order and not abandoned.is_set():
        if select.select([0], [], [], 1.0)[0]:
            order = os.read(0, 1)
            if not order:
                abandoned.set()
        elif os.getppid() != starter:
            abandoned.set()
    if order == b"k":
        broker.kill()
        return
    broker.terminate()
    try:
        broker.wait(TIDY_SECONDS)
    except subprocess.TimeoutExpired:
        broker.kill()


if __name__ == "__main__":
    main()
