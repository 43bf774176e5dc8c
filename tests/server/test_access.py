"""Keys, sessions, and limits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from processes import eventually
from serving import Served, problem
from small import cli

from forebay.errors import ForebayError
from forebay.state.store import Store


def test_a_request_without_a_valid_key_is_refused(served: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer fbk_nonsense"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        answer = served.http.get(f"{served.url}/v1/runs", headers=headers)
        assert problem(answer) == (401, "access.unknown")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert served.http.get(f"{served.url}/health").status_code == 200


def test_a_key_is_made_and_revoked_on_the_command_line(served: Served) -> None:
    made = cli(served.folder, "keys", "add", "carl", "--json")
    secret = httpx.Response(200, text=made.stdout).json()["secret"]
    assert served.get("/v1/runs", secret)["runs"] == []
    (id_,) = [key.id for key in Store(served.lake / "state.db").keys.all() if key.user == "carl"]
    assert secret not in cli(served.folder, "keys").stdout
    assert cli(served.folder, "keys", "revoke", id_).returncode == 0
    assert eventually(lambda: served.call("GET", "/v1/runs", secret).status_code == 401)


def test_only_operators_refresh(served: Served) -> None:
    assert problem(served.call("POST", "/v1/refresh", served.user("dora"))) == (403, "access.refused")
    assert served.call("POST", "/v1/refresh", served.user("olga", "operator")).status_code == 202


def test_the_machines_own_key_is_for_its_owner_only(served: Served) -> None:
    assert (served.lake / "server" / "key").stat().st_mode & 0o777 == 0o600


def test_a_browser_signs_in_by_a_link_once(served: Served) -> None:
    with httpx.Client(base_url=served.url) as browser:
        answer = browser.get(served.link.removeprefix(served.url))
        assert answer.status_code == 303
        assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=lax" in answer.headers["set-cookie"]
        assert browser.get("/v1/runs").status_code == 200
        with httpx.Client(base_url=served.url) as second:
            assert second.get(served.link.removeprefix(served.url)).status_code == 403
        # Its own pages may act in its name, another site's may not.
        asked = {"calculation": "sums", "parameters": {"factor": 31}}
        own, host = {"Origin": served.url}, served.url.partition("://")[2]
        assert browser.post("/v1/runs", json=asked, headers=own).status_code == 202
        for origin in ("http://evil.example", "null", f"http://{host}.evil.example", f"http://evil.example/{host}"):
            assert problem(browser.post("/v1/runs", json=asked, headers={"Origin": origin})) == (403, "access.refused")
        assert problem(browser.post("/v1/runs", json=asked)) == (403, "access.refused")
        cookie = dict(browser.cookies)
        browser.post("/sign-out", headers=own)
        assert httpx.get(f"{served.url}/v1/runs", cookies=cookie).status_code == 401


def test_a_browser_signs_in_by_a_key_and_out_when_that_is_revoked(served: Served) -> None:
    secret = served.user("emma")
    with httpx.Client(base_url=served.url, headers={"Origin": served.url}) as browser:
        assert browser.post("/sign-in", data={"key": secret}).status_code == 303
        assert browser.get("/v1/runs").status_code == 200
        store = Store(served.lake / "state.db")
        assert store.keys.revoke(next(key.id for key in store.keys.all() if key.user == "emma"))
        assert eventually(lambda: browser.get("/v1/runs").status_code == 401)


@pytest.mark.parametrize("name", ["", " ", "command line"])
def test_nobody_has_a_name_that_stands_for_nobody_or_for_the_command_line(served: Served, name: str) -> None:
    with pytest.raises(ForebayError, match="no user can have the name"):
        Store(served.lake / "state.db").keys.add(name, "user")


def test_who_asks_too_often_is_told_to_wait(serve: Callable[..., Served]) -> None:
    server = serve(requests_per_minute=20, queued_per_user=3, workers=1)
    busy = server.user("busy")
    codes = [server.call("GET", "/v1/runs", busy) for _ in range(25)]
    refused = [answer for answer in codes if answer.status_code != 200]
    assert refused and all(problem(answer) == (429, "request.too_often") for answer in refused)
    assert int(refused[0].headers["Retry-After"]) > 0
    # Others are not held up, and nobody's queue grows without end.
    queueing = server.user("queueing")
    for more in range(3):
        server.submit("slow", queueing, parameters={"more": more})
    asked = server.call("POST", "/v1/runs", queueing, json={"calculation": "slow", "parameters": {"more": 4}})
    assert problem(asked) == (429, "request.too_many")
    eager = server.user("eager")
    with ThreadPoolExecutor(10) as pool:
        asks = [{"calculation": "slow", "parameters": {"more": 100 + n}} for n in range(10)]
        answers = list(pool.map(lambda ask: server.call("POST", "/v1/runs", eager, json=ask).status_code, asks))
    assert sorted(answers) == [202] * 3 + [429] * 7
    assert server.submit("slow", parameters={"more": 5})["status"] == "queued"
