"""The client against a real server."""

from __future__ import annotations

import contextlib
import datetime
import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from coffee import environment, made
from serving import Served, declared

from forebay.client import Client
from forebay.errors import ForebayError, Problems

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guide" / "client.md"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(declared(tmp_path_factory.mktemp("client") / "small", server={"workers": 2}).folder)
    try:
        yield found.ready()
    finally:
        found.close()


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client(project=served.folder) as client:
        yield client


def test_a_result_is_a_table(client: Client, tmp_path: Path) -> None:
    run = client.submit("sums", {"factor": Decimal("2.50")})
    assert run.wait().status == "succeeded"
    assert run.outputs == ["result"]
    table = run.result()
    assert table.column("v").to_pylist()[0] == Decimal("11715.0000")
    assert list(run.pandas()["g"]) == list(range(10))
    assert run.download(to=tmp_path) == tmp_path / "sums.result.parquet"
    assert run.download("result", tmp_path / "mine.csv", "csv").read_text().startswith("g,v\n0,11715.0000\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "sums.result.parquet"]
    with pytest.raises(ForebayError, match="Known: `result`") as error:
        run.result("other")
    assert error.value.code == "output.unknown"


def test_a_number_that_json_has_no_word_for_is_refused_like_any_other(client: Client) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ForebayError, match="`factor`"):
            client.submit("sums", {"factor": value})


def test_a_run_is_watched_from_its_events(client: Client) -> None:
    run = client.submit("sums", {"factor": 3}, fresh=True)
    seen = [document["status"] for document in run.events()]
    assert seen[-1] == run.status == "succeeded"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        client.submit("sums", {"factor": 4}).watch()
    assert "write results" in said.getvalue()
    assert client.run(run.id).document == run.document
    assert run.id in [line["id"] for line in client.runs("sums", "succeeded")]


def test_what_is_wrong_is_raised_as_it_is_on_the_command_line(client: Client) -> None:
    with pytest.raises(Problems) as problems:
        client.submit("sums", {"factor": "x", "least": datetime.date(2026, 1, 1)})
    assert {error.code for error in problems.value.errors} == {"parameter.type"}
    with pytest.raises(ForebayError) as error:
        client.submit("sum")
    assert (error.value.code, error.value.advice) == ("calculation.unknown", "Did you mean `sums`?")
    with pytest.raises(ForebayError) as error:
        client.submit("sums", inputs={"facts": Path("nowhere.csv")})
    assert error.value.code == "input.missing_file"
    with pytest.raises(ForebayError) as error:
        client.run("nobody")
    assert error.value.code == "run.unknown"


def test_cancel_replay_and_share(client: Client) -> None:
    slow = client.submit("slow")
    slow.cancel()
    with pytest.raises(ForebayError) as error:
        slow.wait()
    assert error.value.code == "run.cancelled"
    run = client.submit("sums", {"factor": 5}).wait()
    again = run.replay().wait()
    assert again.document["replay_of"] == run.id
    assert again.result().equals(run.result())
    assert run.share().document["shared"] and not run.share(False).document["shared"]


def test_another_user_by_url_and_key(served: Served, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    own = client.submit("sums", {"factor": 6})
    with Client(served.url, served.user("ann")) as ann, pytest.raises(ForebayError) as error:
        ann.run(own.id)
    assert error.value.code == "run.unknown"
    monkeypatch.setenv("FOREBAY_KEY", served.user("bob"))
    with Client(served.url) as bob:
        assert bob.submit("sums", {"factor": 6}).document["owner"] == "bob"
    monkeypatch.setenv("FOREBAY_KEY", "fbk_nothing")
    with Client(served.url) as nobody, pytest.raises(ForebayError) as error:
        nobody.runs()
    assert error.value.code == "access.unknown"


def test_no_server_is_said_at_once(tmp_path: Path) -> None:
    folder = declared(tmp_path / "small").folder
    with pytest.raises(ForebayError) as error:
        Client(project=folder)
    assert error.value.code == "server.unreachable"
    with Client("http://127.0.0.1:9", patience=0.3) as client, pytest.raises(ForebayError) as error:
        client.runs()
    assert error.value.code == "server.unreachable"


@pytest.mark.slow
@pytest.mark.parametrize("end", [Served.kill, Served.stop])
def test_a_server_may_be_started_anew_under_its_users(end: Callable[[Served], object], tmp_path: Path) -> None:
    server = Served(declared(tmp_path / "small", server={"workers": 1, "grace": "1s"}).folder).ready()
    try:
        with Client(project=server.folder) as client:
            slow, watched, waiting = client.submit("slow"), client.submit("sums", {"factor": 7}), client.submit("sums", {"factor": 8})
            server.at_work(slow.id)
            users = [threading.Thread(target=lambda: [*watched.events()]), threading.Thread(target=waiting.wait)]
            for user in users:
                user.start()
            end(server)
            server.start()
            # It is tried again, and the one behind it goes on being watched.
            server.until(slow.id, lambda run: run["attempt"] == 2)
            slow.cancel()
            for user in users:
                user.join(60)
            assert (watched.status, waiting.status) == ("succeeded", "succeeded")
    finally:
        server.close()


@pytest.mark.slow
def test_the_guides_example_runs(tmp_path: Path) -> None:
    project = made(tmp_path / "coffee")
    server = Served(project.folder).ready()
    try:
        code, said = re.findall(r"```(?:python)?\n(.*?)```", GUIDE.read_text(), re.DOTALL)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=project.folder, env=environment(), capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(said), done.stdout
    finally:
        server.close()


def test_a_client_loads_no_server_and_no_tables() -> None:
    code = "import sys, forebay.client; print([n for n in ('fastapi', 'duckdb', 'pyarrow', 'sqlalchemy', 'pandas') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
