"""Lines of the log: their form, and that whoever does not read them holds nothing up."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import threading

from forebay.server import logs


def logged(style: logs.Style, event: str, error: BaseException | None = None, **fields: object) -> str:
    stream = io.StringIO()
    end = logs.begin(style, stream)
    logs.tell(event, logging.WARNING, error, **fields)
    end()
    return stream.getvalue()


def test_json_has_what_is_known_and_nothing_else() -> None:
    line = json.loads(logged("json", "run", run="r1", seconds=0.5, code=None, what='a "b"\nc'))
    assert line.pop("at").endswith("+00:00")
    assert line == {"level": "warning", "event": "run", "run": "r1", "seconds": 0.5, "what": 'a "b"\nc'}


def test_text_is_one_line() -> None:
    line = logged("text", "run", run="r1", what="two words\nand a line", code=None)
    assert line.split(" ", 1)[1] == 'warning run run=r1 what="two words\\nand a line"\n'


def test_an_error_comes_with_its_traceback() -> None:
    try:
        raise ValueError("odd")
    except ValueError as error:
        line = json.loads(logged("json", "request", error))
    assert line["traceback"].startswith("Traceback") and line["traceback"].endswith("ValueError: odd")


def test_what_libraries_say_is_a_line_too() -> None:
    stream = io.StringIO()
    end = logs.begin("json", stream)
    logging.getLogger("uvicorn.error").warning("Invalid %s", "HTTP")
    end()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["message"]) == ("uvicorn.error", "Invalid HTTP")


def test_a_reader_that_has_stopped_reading_holds_nothing_up_and_is_told_what_it_missed() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader:
        with os.fdopen(writing, "w") as stream:
            end = logs.begin("json", stream)
            for number in range(15_000):
                logs.tell("request", number=number, filler="x" * 100)
            got = [json.loads(reader.readline()) for _ in range(100)]
            assert [line["number"] for line in got] == list(range(100))
            missed = next(line for line in map(json.loads, reader) if line["event"] == "log.dropped")
            assert 0 < missed["lines"] < 15_000
            reading_on = threading.Thread(target=reader.read)
            reading_on.start()
            end()
        reading_on.join()


def test_a_reader_that_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    end = logs.begin("json", stream)
    for _ in range(10):
        logs.tell("request")
    end()
    with contextlib.suppress(BrokenPipeError):
        stream.close()
