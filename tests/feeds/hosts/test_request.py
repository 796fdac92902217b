"""Requests by HTTP: limits of time and bytes, and a host that is asked too often."""

import asyncio
import gzip
import resource
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web

from tickertape.stream.errors import InputError
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.hosts.budget import Budget
from tickertape.stream.feeds.hosts.limit import Limit, Limits
from tickertape.stream.feeds.hosts.request import Answered, RequestError, download, get

ANY = Limits(connections=Limit(1000, 1.0), requests=Limit(1000, 1.0))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")


@pytest.fixture
def budget(tmp_path: Path) -> Budget:
    return Budget("localhost", ANY, folder=tmp_path)


def ask(handler: Handler, budget: Budget, **options: object) -> Answered:
    return asked(handler, lambda url: get(url, budget, **options))


def asked(handler: Handler, asking: Callable[[str], Coroutine[None, None, T]]) -> T:
    async def scenario() -> T:
        server = web.Server(handler)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            return await asking(f"http://127.0.0.1:{port}/list?a=b%2Fc")
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


async def tells(request: web.Request) -> web.StreamResponse:
    said = f"{request.raw_path} {request.headers['User-Agent']} {request.headers.get('X-Unit', '')}"
    return web.Response(body=gzip.compress(said.encode()), headers={"Content-Encoding": "gzip", "X-Used": "7"})


def refuses(status: int, text: str = "", **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handler


def test_a_page_comes_unpacked_with_its_headers(budget: Budget) -> None:
    answered = ask(tells, budget, headers={"X-Unit": "MICROSECOND"})
    assert answered.body == b"/list?a=b%2Fc tickertape MICROSECOND"
    assert answered.headers["x-used"] == "7"


def test_another_status_is_an_error_with_the_server_s_words(budget: Budget) -> None:
    with pytest.raises(
        RequestError, match=r"/list\?a=b%2Fc: HTTP 400 Bad Request: \{\"msg\": \"bad symbol\"\}$"
    ) as told:
        ask(refuses(400, '{"msg":\n "bad symbol"}'), budget)
    assert (told.value.status, told.value.wait_seconds) == (400, 0.0)
    assert isinstance(told.value, InputError)
    assert budget.blocked_seconds == 0.0


def test_a_redirect_is_not_followed(budget: Budget) -> None:
    with pytest.raises(RequestError, match="HTTP 302 Found"):
        ask(refuses(302, Location="http://127.0.0.1:1/"), budget)


@pytest.mark.parametrize(("status", "headers", "seconds"), [(429, {"Retry_After": "33"}, 33.0), (418, {}, 120.0)])
def test_a_host_that_is_asked_too_often_is_left_alone_by_all(
    budget: Budget, tmp_path: Path, status: int, headers: dict[str, str], seconds: float
) -> None:
    with pytest.raises(RequestError, match=f"HTTP {status}") as told:
        ask(refuses(status, **headers), budget)
    assert told.value.wait_seconds == seconds
    other = Budget("localhost", ANY, folder=tmp_path)
    with pytest.raises(RequestError, match="its host allows no request for") as told:
        ask(tells, other, patience_seconds=1.0)
    assert seconds - 20 < told.value.wait_seconds <= seconds


def test_a_host_may_say_so_with_status_200(tmp_path: Path) -> None:
    kraken = Budget("localhost", known.KRAKEN, folder=tmp_path)
    with pytest.raises(RequestError, match=r"HTTP 200 OK: .*EGeneral:Too many requests") as told:
        ask(refuses(200, '{"error":["EGeneral:Too many requests"]}'), kraken)
    assert (told.value.wait_seconds, told.value.may_pass) == (10.0, True)
    assert 0.0 < kraken.blocked_seconds <= 10.0


def test_bybit_s_403_is_a_wait_but_not_where_it_refuses_a_country(tmp_path: Path) -> None:
    bybit = Budget("localhost", known.BYBIT, folder=tmp_path)
    with pytest.raises(RequestError) as told:
        ask(refuses(403, "configured to block access from your country"), bybit)
    assert (told.value.may_pass, bybit.blocked_seconds) == (False, 0.0)
    with pytest.raises(RequestError) as told:
        ask(refuses(403, "access too frequent"), bybit)
    assert (told.value.may_pass, told.value.wait_seconds) == (True, 600.0)
    assert 590.0 < bybit.blocked_seconds <= 600.0


def test_an_answer_has_a_limit_of_bytes_unpacked(budget: Budget) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b" " * 3_000_000), headers={"Content-Encoding": "gzip"})

    assert len(ask(handler, budget, most_bytes=3_000_000).body) == 3_000_000
    with pytest.raises(RequestError, match="the answer has more than 2,999,999 bytes"):
        ask(handler, budget, most_bytes=2_999_999)


def test_an_answer_has_a_limit_of_time_also_if_it_drips(budget: Budget) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(1000):
            await answer.write(b" ")
            await asyncio.sleep(0.05)
        return answer

    with pytest.raises(RequestError, match=r"no answer within 0.3 s"):
        ask(handler, budget, seconds=0.3)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", "ftp://127.0.0.1/", "http://[/"])
def test_where_nobody_answers_is_one_line(budget: Budget, url: str) -> None:
    with pytest.raises(RequestError) as told:
        asyncio.run(get(url, budget))
    assert str(told.value).startswith(f"{url}: ")
    assert "\n" not in str(told.value)


async def many_bytes(_: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(range(256)) * 1000)


def test_an_answer_of_any_size_comes_into_a_file(budget: Budget, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"from an earlier try")
        asked(many_bytes, lambda url: download(url, budget, file))
    assert (tmp_path / "file").read_bytes() == bytes(range(256)) * 1000


def test_a_full_disk_is_no_fault_of_the_host(budget: Budget, tmp_path: Path) -> None:
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "file").open("w+b") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
        try:
            with pytest.raises(InputError, match=r"can't be kept on this machine: .*File too large") as failed:
                asked(many_bytes, lambda url: download(url, budget, file))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert not isinstance(failed.value, RequestError)
