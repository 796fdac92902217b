"""ClickHouse's engine (chdb) behind the part of its HTTP interface that is used: a query, and rows after it."""

import os
import sys
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

# As the server of ClickHouse answers them; others are 500.
STATUS = {
    "516": 403,
    "497": 403,
    "60": 404,
    "81": 404,
    "16": 404,
    "47": 404,
    "62": 400,
    "27": 400,
    "117": 400,
    "53": 400,
}


def main(port: int, folder: str) -> None:
    from chdb.session import Session

    session, lock, password = Session(folder), Lock(), os.environ["CLICKHOUSE_PASSWORD"]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            scheme, _, given = self.headers.get("Authorization", "").partition(" ")
            if scheme != "Basic" or b64decode(given).decode() != f"default:{password}":
                return self._answer(403, b"Code: 516. DB::Exception: default: Authentication failed")
            (query,) = parse_qs(urlsplit(self.path).query)["query"]
            try:
                with lock:
                    found = session.query(query + "\n" + body.decode(), "TabSeparated")
                return self._answer(200, found.bytes() if found else b"")
            except RuntimeError as error:
                code = str(error).partition("Code: ")[2].partition(".")[0]
                return self._answer(STATUS.get(code, 500), str(error).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
