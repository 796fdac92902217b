"""Many clients at once on a real server, and one that doesn't read."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
from websockets.asyncio.client import connect

from tests.api.asking import app
from tests.recent.made import Told, bar
from tests.recent.published import made_topics, of, publish
from tickertape.stream.api import guard, streams
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.serving import Console, served
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.recent.recent import Recent

FREE = {"console_port": 0, "console_requests": 1e6}


@asynccontextmanager
async def serving(told: Told) -> AsyncIterator[tuple[guard.Guard, int]]:
    guarded = app(told)
    async with served(guarded, told.settings, told.recent.end) as address:
        yield guarded, int(address.rpartition(":")[2])


class Events:
    """A client of server-sent events."""

    async def open(self, port: int, query: str = "") -> "Events":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        self._writer.write(f"GET /api/v1/stream/bars{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert (await self._reader.readline()).startswith(b"HTTP/1.1 200")
        await self.line(b"id: ")
        return self

    async def line(self, begins: bytes) -> bytes:
        """Return the next line that begins so."""
        while not (line := await self._reader.readline()).startswith(begins):
            assert line, "the stream ended"
        return line

    def close(self) -> None:
        self._writer.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - the server counts, and tells nobody
            await asyncio.sleep(0.01)


def run(work: "asyncio.Future[None] | object", seconds: float = 120) -> None:
    asyncio.run(asyncio.wait_for(work, seconds))  # type: ignore[arg-type]  # a coroutine


def test_each_client_gets_each_change_and_its_end() -> None:
    async def work() -> None:
        told = Told(**FREE)
        async with serving(told) as (_, port):
            clients = [await Events().open(port, "?symbol=A") for _ in range(5)]
            for number in range(3):
                await told.round(bar("A", number, float(number), 1), bar("B", number, 9.0, 1))
                for client in clients:
                    assert b'"close":%.1f' % number in await client.line(b"data: ")
        for client in clients:
            # The server's end is the normal end of the answer.
            with pytest.raises(AssertionError, match="the stream ended"):
                await client.line(b"data: ")
            client.close()

    run(work())


def test_a_client_that_does_not_read_is_dropped_and_the_others_get_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.5)

    async def work() -> None:
        told = Told(**FREE)
        async with serving(told) as (guarded, port):
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(deaf, ("127.0.0.1", port))
                await loop.sock_sendall(deaf, b"GET /api/v1/stream/bars HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                others = [await Events().open(port) for _ in range(3)]
                await until(lambda: guarded.open == 4)
                number, long = 0, "x" * 100_000
                while guarded.open == 4:
                    number += 1
                    await told.round(bar("A", number, float(number), 1, note=long))
                    for other in others:
                        # They get each round although one has stopped reading.
                        assert b'"close":%.1f' % number in await other.line(b"data: ")
                assert guarded.open == 3
                assert number > 1
                await told.round(bar("A", number + 1, 1.5, 1))
                for other in others:
                    assert b'"close":1.5' in await other.line(b"data: ")
                    other.close()

    run(work())


@pytest.mark.slow
def test_a_thousand_streams_at_once() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))

    async def work() -> None:
        told = Told(**FREE)
        async with serving(told) as (guarded, port):
            clients = [await Events().open(port, f"?symbol=S{number % 50}") for number in range(1000)]
            assert guarded.open == 1000
            for number in range(5):
                await told.round(*[bar(f"S{one}", number, float(one), 1) for one in range(50)])
                for place, client in enumerate(clients):
                    assert b'"close":%.1f' % (place % 50) in await client.line(b"data: ")
            for client in clients:
                client.close()
            await until(lambda: guarded.open == 0)

    run(work(), 240)


def test_an_error_comes_as_it_is_and_not_in_a_group() -> None:
    async def serve(settings: Settings) -> None:
        async with Console(settings).serving():
            await asyncio.sleep(60)

    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        run(serve(Settings(broker="127.0.0.1:1", console_port=0)))
    with pytest.raises(ConfigError, match="can't be served"):
        run(serve(Settings(broker="127.0.0.1:1", console_host="203.0.113.1", console_token=Secret("hush"))))


def test_a_wrong_address_or_certificate_is_told(tmp_path: Path) -> None:
    async def serve(settings: Settings) -> None:
        async with served(app(Told()), settings, lambda: None):
            pass

    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"can't be served at 127\.0\.0\.1:\d+: Address already in use"):
            run(serve(Settings(console_port=taken.getsockname()[1])))
    with pytest.raises(ConfigError, match="set console_host"):
        run(serve(Settings(console_host="203.0.113.1", console_port=0)))
    missing = str(tmp_path / "none.pem")
    with pytest.raises(ConfigError, match="console_certificate or console_key can't be read"):
        run(serve(Settings(console_port=0, console_certificate=missing, console_key=missing)))


def latest(address: str) -> list[dict[str, object]]:
    with urlopen(f"{address}/api/v1/latest/bars?symbol=A") as answer:
        return list(msgspec.json.decode(answer.read())["results"])


def test_nobody_is_answered_before_it_is_known_where_reading_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that comes back at once would follow rounds that nothing is ever added to."""

    async def work() -> None:
        known = asyncio.Event()

        async def reads(recent: Recent) -> None:
            await known.wait()
            recent.begun.set()
            await asyncio.Event().wait()

        async def asks(_: Pipeline) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(Recent, "run", reads)
        monkeypatch.setattr(Pipeline, "run", asks)
        async with contextlib.AsyncExitStack() as stack:
            console = Console(Settings(console_port=0))
            starting = asyncio.create_task(stack.enter_async_context(console.serving()))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not starting.done()
            known.set()
            assert (await starting).startswith("http://127.0.0.1:")

    asyncio.run(work())


@pytest.mark.kafka
def test_a_console_reads_kafka_answers_and_ends() -> None:
    async def work(settings: Settings) -> None:
        async with Producer(settings) as producer, Console(settings, demo=True).serving() as address:
            await publish(producer, of("A", 0, 3))
            async with asyncio.timeout(60):
                found: list[dict[str, object]] = []
                while not found:
                    await asyncio.sleep(0.2)
                    found = await asyncio.to_thread(latest, address)
            assert [(one["symbol"], one["revision"]) for one in found] == [("A", 3)]
            async with connect(f"{address.replace('http', 'ws')}/api/v1/live") as live:
                hello = msgspec.json.decode(await live.recv())["hello"]
                assert hello["demo"]
                await live.send('{"id":1,"watch":"pipeline"}')
                message = {}
                while "snapshot" not in message:
                    message = msgspec.json.decode(await live.recv())
                state = message["snapshot"]
                assert [one["name"] for one in state["topics"]] == ["trades", "quotes", "posts", "slices"]
            # A stream is open when the server ends.
            following = await Events().open(int(address.rpartition(":")[2]))
        with pytest.raises(AssertionError, match="the stream ended"):
            await following.line(b"data: ")
        following.close()

    with made_topics() as settings:
        run(work(msgspec.structs.replace(settings, console_port=0)))
