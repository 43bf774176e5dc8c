"""Runs from Python, for programs and notebooks: submit, watch, and take the result as a table.

    from forebay.client import Client

    run = Client(project="retail").submit("plan", {"tax_rate": 0.07}).watch()
    run.pandas("by_department")

What a server is asked is asked again when the connection is lost, so that nothing happens twice: a run is submitted under a key that makes
it one run however often it arrives, and its events go on after the last one that came. So a server may be started anew meanwhile.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from forebay.errors import ForebayError, Problems, nearest

ENDED = ("succeeded", "failed", "cancelled")
_WAIT = 30
"""Seconds that the server is asked to wait with its answer."""
_AGAIN = ("request.too_often", "state.unavailable", "server.stopping")
"""What will do a little later."""


class Client:
    """A server, and who asks it.

    By a URL and a key (by default the variable FOREBAY_KEY), or by the folder of a project that is being served on this machine, by default
    the working directory: then both are found there.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, project: str | os.PathLike[str] | None = None, *, patience: float = 60.0
    ) -> None:
        """`patience`: how many seconds to go on trying when the server cannot be reached. Raises ForebayError if no server is found."""
        self._url, self._key, self._patience = url, key or os.environ.get("FOREBAY_KEY"), patience
        self._project = None if url else Path(project or ".")
        # What goes to this machine must not be sent to a proxy.
        self._http = httpx.Client(timeout=httpx.Timeout(60.0, connect=10.0), trust_env=url is not None)
        if not self._locate():
            raise ForebayError(
                "server.unreachable", "no server holds the project in this folder", where=str(self._project),
                advice="`forebay serve` starts one; or give the `url` and `key` of another",
            )  # fmt: skip

    def submit(
        self,
        calculation: str,
        parameters: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str | os.PathLike[str]] | None = None,
        *,
        accept_valid: bool = False,
        edition: int | None = None,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> Run:
        """Ask for a run. Raises ForebayError naming everything that is wrong with the request.

        `inputs`: for each input a file, or the id of an upload. `fresh`: compute it even if an identical run has been computed before.
        """
        asked = {
            "calculation": calculation,
            "parameters": {name: _plain(value) for name, value in (parameters or {}).items()},
            "inputs": {name: self._uploaded(name, given) for name, given in (inputs or {}).items()},
            "accept_valid": accept_valid, "edition": edition, "fresh": fresh,
        }  # fmt: skip
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)}
        return Run(self, self._ask("POST", "/v1/runs", json=asked, headers=headers).json())

    def upload(self, name: str, file: str | os.PathLike[str]) -> str:
        """Upload a file for the input `name`. Returns the upload's id, with which it can be used again."""
        path = Path(file)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ForebayError(
                "input.missing_file", f"input `{name}`: {path}: {error.strerror}", advice="Give the path of a file"
            ) from None
        # Bytes that come twice are kept once, so it may be sent again.
        answer = self._ask("POST", "/v1/inputs", params={"input": name, "filename": path.name}, content=content)
        return str(answer.json()["id"])

    def run(self, run_id: str) -> Run:
        """A run that was submitted before, by whomever. Raises ForebayError if there is none that one may see."""
        return Run(self, self._ask("GET", f"/v1/runs/{run_id}").json())

    def runs(self, calculation: str | None = None, status: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The last runs that one may see, newest first."""
        given = {"calculation": calculation, "status": status, "limit": limit}
        found = self._ask("GET", "/v1/runs", params={name: value for name, value in given.items() if value is not None})
        return list(found.json()["runs"])

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _uploaded(self, name: str, given: str | os.PathLike[str]) -> str:
        file = isinstance(given, os.PathLike) or Path(given).is_file() or Path(given).name != given or Path(given).suffix
        return self.upload(name, given) if file else str(given)

    # Asking

    def _locate(self) -> bool:
        """Find out where a server on this machine is now. False if there is none."""
        if self._project is None:
            return True
        from forebay.lake.address import key_file, running  # noqa: PLC0415
        from forebay.lake.root import open_lake  # noqa: PLC0415
        from forebay.project.folder import Folder  # noqa: PLC0415

        folder = Folder(self._project)
        try:
            lake = open_lake(folder.lake, folder.name, folder.path)
            found = running(lake)
            if found is None:
                return False
            self._url, self._key = found.url, self._key or key_file(lake).read_text().strip()
        except FileNotFoundError:
            raise ForebayError("access.unknown", "the server gave this machine no key of its own", advice="Give a `key`") from None
        except ForebayError as error:
            if error.code != "edition.none":
                raise
            return False
        return True

    def _ask(self, method: str, path: str, *, once: bool = False, **options: Any) -> httpx.Response:
        """Send a request until it is answered. Raises ForebayError if the answer is a problem. `once`: never twice."""
        options["headers"] = {**options.get("headers", {}), **self._headers()}
        patience = _Patience(self)
        while True:
            try:
                answer = self._http.request(method, f"{self._url}{path}", **options)
            except httpx.TransportError as error:
                if once and not isinstance(error, httpx.ConnectError):
                    raise ForebayError("server.unreachable", f"the connection broke off: {error}", advice="See if it was done") from None
                patience.wait(f"{self._url}: {error}")
                options["headers"] |= self._headers()
                continue
            if answer.is_success:
                return answer
            refused = _refusal(answer)
            if refused.code not in _AGAIN:
                raise refused
            patience.wait(refused.what, refused)

    def _stream(self, path: str, after: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Server-sent events until the stream ends: (id, document)."""
        headers = {**self._headers(), **({"Last-Event-ID": str(after)} if after is not None else {})}
        with self._http.stream("GET", f"{self._url}{path}", headers=headers) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            event: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name:
                    event[name] = value
                elif "data" in event:
                    yield int(event.get("id", 0)), msgspec.json.decode(event["data"])
                    event = {}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}


class Run:
    """A run that was submitted. `document` is how it stood when last heard of, as the API describes it."""

    def __init__(self, client: Client, document: dict[str, Any]) -> None:
        self._client, self.document = client, document
        self._last: int | None = None

    def __repr__(self) -> str:
        return f"<run {self.id} {self.status}>"

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.document["id"])

    @property
    def status(self) -> str:
        """How it stood when last heard of: queued, running, succeeded, failed or cancelled."""
        return str(self.document["status"])

    @property
    def outputs(self) -> list[str]:
        """The names of its results, once it has succeeded."""
        return [str(output["name"]) for output in self.document["outputs"]]

    def events(self) -> Iterator[dict[str, Any]]:
        """Its document whenever it has changed, until it has ended."""
        patience = _Patience(self._client)
        while self.status not in ENDED:
            lost = "its events broke off"
            try:
                for id_, document in self._client._stream(f"/v1/runs/{self.id}/events", self._last):
                    self._last, patience = id_, _Patience(self._client)
                    if "status" in document:
                        self.document = document
                        yield document
            except httpx.TransportError as error:
                lost = str(error)
            except ForebayError as error:
                if error.code not in _AGAIN:
                    raise
            if self.status not in ENDED:
                patience.wait(lost)
                self.look()

    def watch(self) -> Run:
        """Show a bar for each of its steps until it has ended. Raises ForebayError if it failed, or was cancelled."""
        from rich.progress import BarColumn, Progress, TaskID, TextColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[what]}"))
        bars: dict[str, TaskID] = {}
        with Progress(*columns) as progress:
            for document in [self.document] if self.status in ENDED else self.events():
                for step in document["steps"]:
                    name = step["name"]
                    if name not in bars:
                        bars[name] = progress.add_task(name, total=100.0, what="")
                    what = "" if step["rows"] is None else f"{step['rows']:,} rows in {step['seconds']:.1f} s"
                    progress.update(bars[name], completed=step["percent"], what=what)
        return self.wait()

    def wait(self) -> Run:
        """Wait until it has ended. Raises ForebayError if it failed, or was cancelled."""
        while self.status not in ENDED:
            self.document = self._client._ask("GET", f"/v1/runs/{self.id}", params={"wait": _WAIT}).json()
        if self.status != "succeeded":
            raise ForebayError(**(self.document["failure"] or {"code": "run.failed", "what": f"run {self.id} {self.status}"}))
        return self

    def look(self) -> Run:
        """Ask how it stands."""
        self.document = self._client._ask("GET", f"/v1/runs/{self.id}").json()
        return self

    def cancel(self) -> Run:
        """End it. One that has ended stays as it is."""
        self.document = self._client._ask("POST", f"/v1/runs/{self.id}/cancel").json()
        return self

    def share(self, shared: bool = True) -> Run:
        """Let every user see it, or only its owner."""
        self.document = self._client._ask("POST", f"/v1/runs/{self.id}/share", json={"shared": shared}).json()
        return self

    def replay(self) -> Run:
        """Compute it again as it was: on the same edition, with the same parameters, files and clock."""
        return Run(self._client, self._client._ask("POST", f"/v1/runs/{self.id}/replay", once=True).json())

    def download(self, output: str | None = None, to: str | os.PathLike[str] | None = None, format: str = "parquet") -> Path:
        """A result as a file, Parquet, CSV, JSON or Arrow; waits until it is there. `to` is a file or folder, by default the working
        directory."""
        name = self._output(output)
        target = Path(to or ".")
        if target.is_dir():
            target /= f"{self.document['calculation']}.{name}.{format}"
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            fresh.write_bytes(self._content(name, format))
            fresh.rename(target)
        finally:
            fresh.unlink(missing_ok=True)
        return target

    def result(self, output: str | None = None) -> Any:
        """A result as an Arrow table; waits until it is there. A run with one output needs no name."""
        import pyarrow.parquet  # noqa: PLC0415

        return pyarrow.parquet.read_table(pyarrow.BufferReader(self._content(self._output(output), "parquet")))

    def pandas(self, output: str | None = None) -> Any:
        """A result as a pandas DataFrame."""
        return self.result(output).to_pandas()

    def polars(self, output: str | None = None) -> Any:
        """A result as a Polars DataFrame."""
        import polars  # noqa: PLC0415

        return polars.from_arrow(self.result(output))

    def _output(self, output: str | None) -> str:
        self.wait()
        if output is None and len(self.outputs) == 1:
            return self.outputs[0]
        if output not in self.outputs:
            asked = "which of its outputs is not said" if output is None else f"run {self.id} has no output `{output}`"
            raise ForebayError("output.unknown", asked, advice=nearest(output or "", self.outputs))
        return output

    def _content(self, output: str, format: str) -> bytes:
        return self._client._ask("GET", f"/v1/runs/{self.id}/results/{output}", params={"format": format}).content


class _Patience:
    """How long a server is waited for that does not answer: a little longer each time, and then no longer."""

    def __init__(self, client: Client) -> None:
        self._client, self._pause = client, 0.1
        self._until = time.monotonic() + client._patience

    def wait(self, why: str, error: ForebayError | None = None) -> None:
        """Wait before it is tried again, and look where the server is now. Raises ForebayError when that has been done long enough."""
        if time.monotonic() + self._pause > self._until:
            raise error or ForebayError("server.unreachable", why, advice="See whether the server runs: `forebay serve`")
        time.sleep(self._pause)
        self._pause = min(self._pause * 1.6, 3.0)
        self._client._locate()


def _plain(value: Any) -> Any:
    """A parameter's value as JSON has it: dates, decimals and what else JSON has no word for as text."""
    exact = value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    return value if exact else str(value)


def _refusal(answer: httpx.Response) -> ForebayError:
    """The error that a problem describes."""
    try:
        found = [ForebayError(one["code"], one["what"], where=one["where"], advice=one["advice"]) for one in answer.json()["errors"]]
    except (ValueError, KeyError, TypeError):
        what = f"{answer.request.url} answered {answer.status_code}, which no server of Forebay's says"
        return ForebayError("server.unreachable", what, advice="See that the URL is right")
    return found[0] if len(found) == 1 else Problems(found)
