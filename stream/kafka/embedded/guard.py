"""The embedded broker's parent process: it runs the broker, and ends it once the process that started both is gone.

It works however the starter ended, even by SIGKILL. Usage: ``guard.py STARTER TEMPORARY JAVA …``. STARTER is the
starter's process id, TEMPORARY a folder to remove once the starter is gone, or empty, and JAVA … the broker's command.
Standard input is a pipe that the starter holds: ``t`` stops the broker cleanly, ``k`` kills it, and the end of the pipe
means that the starter is gone. The file is run by its path and imports only the standard library, so it starts in about
20 ms.
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
    # As in a shell, 137 means that the broker was killed.
    os._exit(code if code >= 0 else 128 - code)


def _obey(starter: int, broker: "subprocess.Popen[bytes]", abandoned: threading.Event) -> None:
    order = b""
    # A forked child of the starter may still hold the pipe, so this also checks its own parent once a second.
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
