"""Who may ask: the token, the names of the server, origins and rates."""

from contextlib import nullcontext

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.api.asking import app, client
from tests.recent.made import Told
from tickertape.stream.api.guard import MOST_ADDRESSES, MOST_BODY_BYTES, Rates, check_reach
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError

PATH = "/api/v1/topics"
LIVE = "ws://127.0.0.1/api/v1/live"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("192.0.2.7", 200),
        ("ticker.example.org:443", 200),
        ("evil.example", 403),
        ("evil.example:127.0.0.1", 403),
        ("127.0.0.1.evil.example", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_a_name_of_others_is_refused(host: str, status: int) -> None:
    with client(Told(console_hosts=["Ticker.example.org"])) as asking:
        assert asking.get(PATH, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1", 200), ("http://127.0.0.1:81", 403), ("http://evil.example", 403), ("null", 403)],
)
def test_a_page_of_another_origin_is_refused(origin: str, status: int) -> None:
    with client(Told()) as asking:
        assert asking.get(PATH, headers={"Origin": origin}).status_code == status
        headers = {"Host": "127.0.0.1", "Origin": origin}
        allowed = nullcontext() if status == 200 else pytest.raises(WebSocketDenialResponse)
        with allowed, asking.websocket_connect(LIVE, headers=headers) as live:
            assert "hello" in live.receive_json()


def test_with_a_token_each_request_has_to_show_it() -> None:
    told = Told(console_token=Secret("hush"))
    with client(told) as asking:
        refused = asking.get(PATH)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert asking.get(PATH, headers={"Authorization": "Bearer hush"}).status_code == 200
        assert asking.get(PATH, headers={"Authorization": "Bearer hus"}).status_code == 401
        assert asking.get(f"{PATH}?token=hush").status_code == 200
        assert asking.get(f"{PATH}?token=").status_code == 401
        assert not asking.cookies, "the API sets no cookie"


def test_the_page_keeps_the_token_in_a_cookie_and_out_of_the_address() -> None:
    with client(Told(console_token=Secret("hush"))) as asking:
        sent = asking.get("/market?symbol=A&token=hush")
        assert (sent.status_code, sent.headers["location"]) == (303, "/market?symbol=A")
        cookie = sent.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "hush" not in cookie
        assert asking.get(PATH).status_code == 200
        with asking.websocket_connect(LIVE) as live:
            assert "hello" in live.receive_json()
        # A path that begins with two slashes would name another host.
        assert asking.get("http://127.0.0.1//evil.example/?token=hush").headers["location"] == "/evil.example/"


def test_others_can_not_reach_it_without_a_token() -> None:
    with pytest.raises(ConfigError, match="set console_token"):
        check_reach(Settings(console_host="0.0.0.0"))
    check_reach(Settings(console_host="0.0.0.0", console_token=Secret("hush")))
    for host in ("127.0.0.1", "::1", "localhost"):
        check_reach(Settings(console_host=host))


def test_an_address_has_a_rate_and_may_save_up_some_seconds() -> None:
    rates = Rates(2.0)
    assert [rates.takes("a", 10.0) for _ in range(9)] == [True] * 8 + [False]
    assert rates.takes("b", 10.0)
    assert [rates.takes("a", 10.5) for _ in range(2)] == [True, False]
    assert [rates.takes("a", 99.0) for _ in range(9)] == [True] * 8 + [False]


def test_addresses_are_bounded_and_the_one_seen_last_stays() -> None:
    rates = Rates(0.25)
    assert rates.takes("first", 0.0)
    for number in range(MOST_ADDRESSES):
        rates.takes(f"{number}", 0.0)
    assert not rates.takes(f"{MOST_ADDRESSES - 1}", 0.0)
    assert rates.takes("first", 0.0), "it was forgotten"


def test_too_many_requests_are_told_to_wait() -> None:
    with client(Told(console_requests=0.25)) as asking:
        assert asking.get(PATH).status_code == 200
        refused = asking.get(PATH)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")


def test_a_large_body_is_refused_and_one_of_unknown_size_too() -> None:
    with TestClient(app(Told()), base_url="http://127.0.0.1") as asking:
        assert asking.post(PATH, content=b"x" * (MOST_BODY_BYTES + 1)).status_code == 413
        assert asking.post(PATH, content=iter([b"x"])).status_code == 413
        assert asking.post(PATH, content=b"x").status_code == 405


def test_answers_tell_browsers_not_to_guess() -> None:
    with client(Told()) as asking:
        headers = asking.get(PATH).headers
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
