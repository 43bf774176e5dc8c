"""S3, SQS and EventBridge as moto gives them, a process on a free port of this machine, behind a proxy that counts and can meddle."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "not-to-be-written-anywhere"
_numbers = itertools.count(1)


class Cloud:
    """A moto server. `stop` ends it."""

    def __init__(self) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end and self._process.poll() is None, "moto did not start"
                time.sleep(0.05)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        import botocore.session

        return botocore.session.get_session().create_client(
            service, region_name="us-east-1", endpoint_url=self.endpoint, aws_access_key_id="key", aws_secret_access_key=SECRET
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Bucket:
    """A bucket of a test's own, and what Forebay asks of it."""

    def __init__(self, cloud: Cloud, proxy: Proxy) -> None:
        self.cloud, self.proxy = cloud, proxy
        self.name = f"bucket-{next(_numbers)}"
        self.url = f"s3://{self.name}"
        self._s3 = cloud.client("s3")
        self._s3.create_bucket(Bucket=self.name)

    def put(self, key: str, content: str | bytes) -> None:
        self._s3.put_object(Bucket=self.name, Key=key, Body=content.encode() if isinstance(content, str) else content)

    def put_in_parts(self, key: str, content: str) -> None:
        """As large uploads are made: the ETag is another one."""
        about = {"Bucket": self.name, "Key": key}
        upload = self._s3.create_multipart_upload(**about)["UploadId"]
        part = self._s3.upload_part(**about, UploadId=upload, PartNumber=1, Body=content.encode())
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self._s3.complete_multipart_upload(**about, UploadId=upload, MultipartUpload=parts)

    def delete(self, key: str) -> None:
        self._s3.delete_object(Bucket=self.name, Key=key)

    def rename(self, key: str, to: str) -> None:
        self._s3.copy_object(Bucket=self.name, Key=to, CopySource={"Bucket": self.name, "Key": key})
        self.delete(key)

    @property
    def listings(self) -> int:
        return sum("list-type=2" in request for request in self.proxy.requests)

    @property
    def reads(self) -> list[str]:
        """The keys that were read since the proxy last forgot."""
        prefix = f"GET /{self.name}/"
        return sorted(r.removeprefix(prefix) for r in self.proxy.requests if r.startswith(prefix) and "list-type" not in r)

    def notify(self) -> str:
        """Let S3 tell EventBridge of changes, and EventBridge a queue: that queue's URL."""
        sqs, events = self.cloud.client("sqs"), self.cloud.client("events")
        queue: str = sqs.create_queue(QueueName=self.name, Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name=self.name, EventPattern=json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [self.name]}}}))
        events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn}])
        self._s3.put_bucket_notification_configuration(Bucket=self.name, NotificationConfiguration={"EventBridgeConfiguration": {}})
        return queue


class Proxy:
    """Hands requests on to moto. `requests` are those that came; `meddle` is called with each before it is handed on, and may change
    what is there, or wait, or say so to let it fail."""

    def __init__(self, cloud: Cloud) -> None:
        self.requests: list[str] = []
        self.meddle: Callable[[str], int | None] = lambda request: None
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _hand_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = f"{self.command} {self.path}"
                with proxy._lock:
                    proxy.requests.append(request)
                status = proxy.meddle(request)
                if status is not None:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                onward = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
                onward.request(self.command, self.path, body, dict(self.headers))
                answer = onward.getresponse()
                content = answer.read()
                onward.close()
                try:
                    self.send_response(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                            self.send_header(name, value)
                    length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                    self.send_header("Content-Length", length or "0")
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _hand_on

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that was killed is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def forget(self) -> None:
        self.requests.clear()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def running(kind: type[Any], *given: Any) -> Iterator[Any]:
    one = kind(*given)
    try:
        yield one
    finally:
        one.stop()
