"""Whatever is uploaded, it is said what is wrong with it; the server's memory stays as it was, nothing is left, and others are served."""

from __future__ import annotations

import io
import json
import socket
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import eventually
from serving import Served, problem
from uploading import lies_in, taken, upload, with_inputs


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(with_inputs(tmp_path_factory.mktemp("bad") / "small", max_upload="300MB").folder)
    try:
        yield found.ready()
    finally:
        found.close()


@pytest.fixture(autouse=True)
def unharmed(served: Served) -> Iterator[None]:
    """After each test: memory is flat, nothing is left of what came in, and the server met no defect."""
    assert served.process is not None
    taken(served, "key,x\n1,1\n", "good.csv")
    before = memory(served.process.pid)
    yield
    assert eventually(lambda: not lies_in(served, "examined"), 60), lies_in(served, "examined")
    assert eventually(lambda: not coming_in(served))
    assert memory(served.process.pid) - before < 60 << 20
    assert served.call("GET", "/health").status_code == 200
    assert "server.internal" not in served.talk()
    assert "Traceback" not in served.talk()


def memory(pid: int) -> int:
    """The most that the process ever had."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def coming_in(served: Served) -> bool:
    return any(path.name.startswith(".") for path in (served.lake / "inputs").iterdir())


# Files


def parquet(select: str = "SELECT i::INTEGER AS key, 1.5 AS x FROM range(1000) r(i)") -> bytes:
    target = io.BytesIO()
    pq.write_table(duckdb.sql(select).to_arrow_table(), target)
    return target.getvalue()


def patched(content: bytes, rows: int) -> bytes:
    """A Parquet file of a thousand rows whose footer says everywhere that they are `rows`."""
    (length,) = struct.unpack("<I", content[-8:-4])
    footer, said = content[-8 - length : -8], 2 * rows
    thousand = bytes([2000 & 0x7F | 0x80, 2000 >> 7])
    assert thousand in footer
    return content[: -8 - length] + footer.replace(thousand, bytes([said & 0x7F | 0x80, said >> 7])) + content[-8:]


def dictionary_bomb() -> bytes:
    """A hundred kilobytes that are four gigabytes of text: one value of a megabyte, four thousand times."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["a" * 1_000_000]))
    target = io.BytesIO()
    pq.write_table(pa.table({"key": pa.array(range(4000), pa.int32()), "note": column}), target, compression="zstd")
    assert target.tell() < 200_000
    return target.getvalue()


def workbook(*rows: tuple[object, ...]) -> bytes:
    book, target = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(target)
    return target.getvalue()


def with_sheet(blocks: Iterator[bytes] | list[bytes]) -> bytes:
    """A workbook whose sheet is this."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(("key", "note")))) as was, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as book:
        for entry in was.infolist():
            if entry.filename != "xl/worksheets/sheet1.xml":
                book.writestr(entry, was.read(entry))
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as file:
            for block in blocks:
                file.write(block)
    return target.getvalue()


def with_entity(doctype: bytes, entity: bytes) -> bytes:
    """A workbook with one row, whose note is an entity of its own declaring."""
    text = b'<c r="%s" t="inlineStr"><is><t>%s</t></is></c>'
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    first = b'<row r="1">' + text % (b"A1", b"key") + text % (b"B1", b"note") + b"</row>"
    second = b'<row r="2"><c r="A2"><v>1</v></c>' + text % (b"B2", b"&" + entity + b";") + b"</row>"
    return with_sheet([b'<?xml version="1.0"?><!DOCTYPE worksheet [' + doctype + b"]>", head, first, second, b"</sheetData></worksheet>"])


def external() -> bytes:
    return with_entity(b'<!ENTITY secret SYSTEM "file:///etc/passwd">', b"secret")


def laughs() -> bytes:
    lines = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    return with_entity(b'<!ENTITY l0 "ha">' + lines, b"l9")


def zip_bomb() -> bytes:
    """A sheet that unpacks to 400 MB."""
    return with_sheet(b" " * (1 << 20) for _ in range(400))


def lying_zip() -> bytes:
    """The same, but its directory says that each part is of a thousand bytes."""
    content = bytearray(zip_bomb())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 24 : at + 28] = struct.pack("<I", 1000)
        at = content.find(b"PK\x01\x02", at + 4)
    return bytes(content)


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "truncated Parquet": ("a.parquet", lambda: parquet()[:-100], "input.unreadable"),
    "Parquet without its middle": ("a.parquet", lambda: parquet()[:200] + parquet()[-400:], "input.unreadable"),
    "Parquet that claims more rows": ("a.parquet", lambda: patched(parquet(), 8000), "input.unreadable"),
    "Parquet bomb": ("a.parquet", dictionary_bomb, "run."),
    "nested Parquet": ("a.parquet", lambda: parquet("SELECT 1 AS key, {'a': 1} AS x"), "input.unreadable"),
    "CSV called Parquet": ("a.parquet", lambda: b"key,x\n1,2\n", "input.unreadable"),
    "Parquet called CSV": ("a.csv", parquet, "input.encoding"),
    "XLSX called CSV": ("a.csv", lambda: workbook(("key", "x"), (1, 2)), "input.encoding"),
    "CSV called XLSX": ("a.xlsx", lambda: b"key,x\n1,2\n", "input.unreadable"),
    "CSV called JSON": ("a.json", lambda: b"key,x\n1,2\n", "input.unreadable"),
    "zip bomb": ("a.xlsx", zip_bomb, "input.unreadable"),
    "zip bomb that lies": ("a.xlsx", lying_zip, "input.unreadable"),
    "external entities": ("a.xlsx", external, "input.unreadable"),
    "entities of entities": ("a.xlsx", laughs, "input.unreadable"),
    "UTF-16": ("a.csv", lambda: "key,x,note\n1,2,é\n".encode("utf-16"), "input.encoding"),
    "Latin-1": ("a.csv", lambda: "key,x,note\n1,2,é\n".encode("latin-1"), "input.encoding"),
    "NULs": ("a.csv", lambda: b"\x00" * 10_000, "input."),
    "10,000 columns": ("a.csv", lambda: b",".join(b"c%d" % n for n in range(10_000)) + b"\n" + b"1," * 9_999 + b"1\n", "input.unknown_column"),
    "10,000 times one column": ("a.csv", lambda: b"key," * 9_999 + b"key\n", "input.duplicate_column"),
    "a name of a hundred kilobytes": ("a.csv", lambda: b"k" * 100_000 + b"\n1\n", "input.unknown_column"),
    "a name of a megabyte": ("a.csv", lambda: b"k" * 1_000_000 + b"\n1\n", "input.unreadable"),
    "a quote that never ends": ("a.csv", lambda: b'key,note\n1,"' + b"n" * 5_000_000, "input.unreadable"),
    "brackets": ("a.json", lambda: b"[" * 1_000_000, "input.unreadable"),
    "blanks": ("a.csv", lambda: b"\n" * 100_000, "input."),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_with_a_file_is_said(served: Served, what: str) -> None:
    filename, make, code = BAD[what]
    found = upload(served, make(), filename).json()
    # Others are served meanwhile.
    assert served.done("levelled", fresh=True)["outputs"][0]["rows"] == 0
    while found["status"] == "checking":
        found = served.get(f"/v1/inputs/{found['id']}?wait=30")
    assert found["status"] == "failed", found
    assert found["failure"]["code"].startswith(code), found["failure"]
    assert found["failure"]["what"]
    assert len(json.dumps(found)) < 10_000
    assert "root:" not in json.dumps(found)


def test_a_parquet_file_has_the_rows_that_its_footer_says(served: Served) -> None:
    found = taken(served, patched(parquet(), 3), "fewer.parquet")
    assert (found["status"], found["rows"]) == ("ready", 3)


def test_formulas_are_no_values_and_are_not_given_back_as_such(served: Served) -> None:
    found = taken(served, workbook(("key", "x", "note"), (1, "=1+1", "a"), (2, 5, "b")), "formulas.xlsx")
    assert (found["status"], found["rows"], found["rejected"]) == ("rejected", 2, 1)
    assert "formula whose value was not saved" in found["bad"][0]
    evil = taken(served, "key,x,note\n1,5000,=cmd|'/c calc'!A1\n", "evil.csv")
    assert "'=cmd|" in served.call("GET", f"/v1/inputs/{evil['id']}/rejected.csv").text


def test_a_row_of_megabytes_is_told_in_short(served: Served) -> None:
    found = taken(served, "key,x,note\n" + "".join(f"{'y' * 1_500_000}{n},1,\n" for n in range(30)), "long.csv")
    assert (found["status"], found["rejected"]) == ("rejected", 30)
    assert len(json.dumps(found)) < 50_000
    assert len(served.call("GET", f"/v1/inputs/{found['id']}/report?limit=500").content) < 50_000


# Names


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("/etc/../x.csv", "x.csv"),
        ("C:\\data\\..\\mine.csv", "mine.csv"),
        ("a\x00b\r\nc\x1b[31m.csv", "abc[31m.csv"),
        ("\u202egnp.csv", "gnp.csv"),
        (" .. hidden.csv", "hidden.csv"),
        ("x" * 900 + ".csv", "x" * 156 + ".csv"),
        ("é" * 400 + ".csv", "é" * 78 + ".csv"),
        ("[a]*?.csv", "[a]*?.csv"),
        ("it's \"quoted\"; drop table x.CSV", "it's \"quoted\"; drop table x.CSV"),
    ],
)
def test_a_name_is_only_a_label(served: Served, given: str, name: str) -> None:
    content = f"key,x,note\n1,1,{len(given)}{ord(given[0])}\n"
    found = taken(served, content, given)
    assert (found["filename"], found["status"]) == (name, "ready")
    assert (served.lake / "inputs" / found["sha256"] / name).read_bytes() == content.encode()
    assert served.done("plainly", inputs={"plain": found["id"]})["outputs"][0]["rows"] == 1


@pytest.mark.parametrize("given", ["", ".csv", "..csv", "/", "..", "\x00", "mine", "mine.exe", "mine.csv.gz", "mine.csv/", "x." + "y" * 300])
def test_a_name_without_a_known_ending_is_refused(served: Served, given: str) -> None:
    assert problem(upload(served, b"key\n1\n", given)) in ((422, "input.unreadable"), (422, "request.malformed"))


def test_what_is_asked_must_be_there(served: Served) -> None:
    assert problem(upload(served, b"x", input_="plane")) == (422, "input.unknown")
    assert problem(served.call("POST", "/v1/inputs", content=b"x")) == (422, "request.malformed")
    assert problem(upload(served, b"", "empty.csv")) == (422, "input.unreadable")
    assert problem(upload(served, b"x", key="fbk_nobody")) == (401, "access.unknown")
    form = served.call("POST", "/v1/inputs?input=plain&filename=a.csv", files={"file": b"key\n1\n"})
    assert problem(form) == (400, "request.malformed")


@pytest.mark.parametrize("kind", ["application/json", "text/html", "application/x-www-form-urlencoded", "nonsense", "image/png; charset=utf-16"])
def test_what_the_headers_say_of_the_content_does_not_count(served: Served, kind: str) -> None:
    answer = upload(served, f"key,x,note\n1,1,{kind}\n", headers={"Content-Type": kind})
    assert answer.status_code == 202
    assert served.get(f"/v1/inputs/{answer.json()['id']}?wait=30")["status"] == "ready"


# Bodies


def raw(served: Served, *headers: str) -> socket.socket:
    """A connection on which the head of an upload was sent."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    lines = ["POST /v1/inputs?input=plain&filename=raw.csv HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {served.own_key}", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def answered(connection: socket.socket) -> str:
    """What the server says, until it hangs up or has said a whole document."""
    said = b""
    while b"\r\n\r\n" not in said or b"}" not in said.partition(b"\r\n\r\n")[2]:
        block = connection.recv(1 << 16)
        if not block:
            break
        said += block
    return said.decode()


def test_a_body_that_stops_half_way_leaves_nothing(served: Served) -> None:
    before = lies_in(served, "inputs")
    for header, body in (("Content-Length: 1000000", b"key,x\n" + b"1,1\n" * 50_000), ("Transfer-Encoding: chunked", b"6\r\nkey,x\n\r\n")):
        with raw(served, header) as connection:
            connection.sendall(body)
            assert eventually(lambda: coming_in(served))
        assert eventually(lambda: not coming_in(served))
    assert lies_in(served, "inputs") == before


def test_what_announces_too_much_is_refused_before_it_comes(served: Served) -> None:
    with raw(served, "Content-Length: 999999999999") as connection:
        said = answered(connection)
    assert said.startswith("HTTP/1.1 413 ")
    assert "request.too_large" in said


def test_what_does_not_say_how_much_it_is_is_refused_when_it_is_too_much(served: Served) -> None:
    before = lies_in(served, "inputs")
    assert problem(upload(served, (b"x" * (1 << 20) for _ in range(400)))) == (413, "request.too_large")
    assert eventually(lambda: lies_in(served, "inputs") == before)


@pytest.mark.parametrize("length", ["-1", "many", "1e3", "6, 7"])
def test_a_length_that_is_none_is_refused(served: Served, length: str) -> None:
    with raw(served, f"Content-Length: {length}") as connection:
        connection.sendall(b"key,x\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_what_comes_after_the_announced_length_is_no_part_of_the_file(served: Served) -> None:
    with raw(served, "Content-Length: 10") as connection:
        connection.sendall(b"key,x\n7,7\n8,8\n and more")
        said = answered(connection)
    assert said.startswith("HTTP/1.1 202 ")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(said.partition("\r\n\r\n")[2])[0]
    assert found["bytes"] == 10


def test_a_large_file_goes_through_without_being_held(served: Served) -> None:
    line = b"1,1," + b"n" * 996 + b"\n"

    def blocks() -> Iterator[bytes]:
        yield b"key,x,note\n"
        for _ in range(250):
            yield line * 1000

    found = taken(served, blocks(), "large.csv")
    assert found["bytes"] > 250_000_000
    # Its examination may come to an end of what a run may take; the server has not.
    assert (found["status"], found["rows"]) == ("ready", 250_000) or found["failure"]["code"].startswith("run.")
