"""Clients that are slow, silent, greedy or gone."""

import contextlib
import re
import resource
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
import requests

from nucseg.serving.web.connections import BoundedConnection


def connect(url: str, data: bytes = b"", size: int | None = None) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    client = socket.socket()
    if size:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    client.settimeout(30)
    client.connect((host, int(port)))
    client.sendall(data)
    return client


def answer(client: socket.socket) -> bytes:
    """Read all that the server sends until it closes the connection."""
    told = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            told += piece
    return told


@pytest.fixture
def server(serve, monkeypatch):
    monkeypatch.setattr(BoundedConnection, "head_seconds", 1.0)
    monkeypatch.setattr(BoundedConnection, "idle_seconds", 1.0)
    return serve()


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nX-A: b\r\n", b"\r\n\r\n"])
def test_a_head_that_does_not_end_ends_the_connection(server, sent) -> None:
    told = answer(connect(server.url, sent))
    assert told == b"" or told.startswith(b"HTTP/1.1 408 ")


def test_drops_of_a_head_win_no_time(server) -> None:
    client = connect(server.url, b"GET / HTTP/1.1\r\nX-A: ")

    def trickle() -> None:
        for _ in range(300):
            client.sendall(b"a")
            time.sleep(0.1)

    with pytest.raises(ConnectionError):
        trickle()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX-A: " + b"a" * 100_000,
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_long_head_is_refused_before_it_is_kept(server, head) -> None:
    client = connect(server.url)
    with contextlib.suppress(ConnectionError):
        client.sendall(head)
    told = answer(client)
    assert told == b"" or told.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert b"200 OK" not in told


@pytest.mark.parametrize("size, status", [(32_000, b"200"), (34_000, b"431"), (60_000, b"431")])
def test_a_head_is_refused_beyond_32_kilobytes(server, size, status) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-A: " + b"a" * size + b"\r\n\r\n"
    assert answer(connect(server.url, head)).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("head", [b"FOO / HTTP/1.1\r\n\r\n", b"POST /tasks HTTP/1.1\r\nContent-Length: a\r\n\r\n"])
def test_what_is_no_http_is_refused_in_plain_text(server, head) -> None:
    told = answer(connect(server.url, head))
    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.endswith(b"\r\n\r\nInvalid HTTP request received.")


def test_a_head_of_ordinary_size_is_not(server) -> None:
    headers = {f"X-{number}": "a" * 1000 for number in range(20)}
    with requests.Session() as session:
        for _ in range(5):  # on one connection
            assert session.get(f"{server.url}/health/live", headers=headers, timeout=60).status_code == 200
            assert session.post(f"{server.url}/invocations", data=bytes(300_000), timeout=60).status_code == 415


def test_requests_in_one_packet_are_all_answered(server) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    told = answer(connect(server.url, one * 3 + one.replace(b"Host", b"Connection: close\r\nHost")))
    assert told.count(b"HTTP/1.1 200 OK") == 4


def test_a_slow_prediction_is_no_slow_client(serve, encode, monkeypatch) -> None:
    monkeypatch.setattr(BoundedConnection, "head_seconds", 0.3)
    assert serve(seconds=1.0).predict(encode(np.zeros((8, 8), np.uint8))).status_code == 200


def test_an_answer_that_nobody_reads_is_cut(server, encode, wait) -> None:
    schema = b"GET /static/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"
    size = len(server.get("/static/swagger-ui-bundle.js").content)
    client = connect(server.url, schema * 20, size=4096)
    time.sleep(3)
    assert len(answer(client)) < 20 * size


@pytest.fixture
def few_files() -> Iterator[None]:
    """Let this process, and those that it starts, open 1,024 files where it may open more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_health_is_answered_whoever_else_is_connected(few_files, processes) -> None:
    """1,100 half requests of a server that may open 1,024 files, and four headers without end."""
    server = processes.server()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    half = [connect(server.url, b"GET / HTTP/1.1\r\nX-A: ") for _ in range(1100)]
    endless = [connect(server.url, b"GET / HTTP/1.1\r\nX-A: ") for _ in range(4)]
    seconds = []
    for _ in range(20):
        for number, client in enumerate(endless):
            try:
                client.sendall(b"a" * 100_000)
            except OSError:
                endless[number] = connect(server.url, b"GET / HTTP/1.1\r\nX-A: ")
        started = time.monotonic()
        assert requests.get(f"{server.url}/health/live", timeout=60).ok
        seconds.append(time.monotonic() - started)
    assert np.median(seconds) < 1
    assert server.says("More than 512 connections")
    for client in half + endless:
        client.close()


def running(server) -> int:
    return int(float(re.search(r"^nucseg_predictions_running (.*)$", server.get("/metrics").text, re.MULTILINE)[1]))


def test_nothing_is_predicted_for_clients_that_are_gone(serve, encode, wait, caplog) -> None:
    server = serve(seconds=0.5, threads=1)
    image = encode(np.zeros((8, 8), np.uint8))
    made = requests.Request("POST", f"{server.url}/model/predict", files={"image": ("a", image)}).prepare()
    head = "POST /model/predict HTTP/1.1\r\nHost: a\r\n" + "".join(
        f"{name}: {made.headers[name]}\r\n" for name in made.headers
    )
    with caplog.at_level("INFO"):
        clients = [connect(server.url, f"{head}\r\n".encode() + made.body) for _ in range(12)]
        wait(lambda: running(server) == 12)
        for client in clients:
            client.close()
        assert server.predict(image).status_code == 200
        wait(lambda: running(server) == 0)
    assert server.predictor.calls <= 3  # the one to get ready, the one that ran, and the one that was waited for
    assert caplog.text.count("gone") == 12
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["/tasks", "/invocations", "/model/predict"])
@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x"])
def test_a_client_that_goes_away_is_no_error(serve, wait, caplog, path, kind) -> None:
    server = serve()
    with caplog.at_level("INFO"):
        part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc'
        client = connect(
            server.url,
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n".encode() + part,
        )
        time.sleep(0.2)
        client.close()
        wait(lambda: f"POST {path} " in caplog.text)
    assert "Traceback" not in caplog.text
    assert 'status="5' not in server.get("/metrics").text
