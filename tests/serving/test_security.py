"""Keys, origins, and what errors tell."""

import re

import numpy as np
import pytest
import requests

KEY = {"X-API-Key": "open sesame"}
HEALTH = ["/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/ping"]
LOCKED = ["/", "/openapi.json", "/swagger.json", "/models", "/model/metadata", "/metrics", "/tasks/x", "/static/x"]
LOCKED += ["/look/tasks/x", "/look/tasks/x/files", "/look/training", "/look/training/x"]


@pytest.fixture
def locked(serve):
    return serve(api_key="open sesame")


def test_everything_but_health_asks_for_the_key(locked) -> None:
    for path in HEALTH:
        assert locked.get(path).status_code == 200
    for path in LOCKED:
        answer = locked.get(path)
        assert answer.status_code == 401, path
        assert answer.json()["status"] == "error"
        assert "Basic" in answer.headers["www-authenticate"]
        assert locked.get(path, headers={"X-API-Key": "open sesam"}).status_code == 401
        assert locked.get(path, headers=KEY).status_code != 401


@pytest.mark.parametrize(
    "given",
    [
        {"headers": KEY},
        {"headers": {"Authorization": "Bearer open sesame"}},
        {"auth": ("anyone", "open sesame")},
    ],
)
def test_the_key_comes_in_three_ways(locked, given) -> None:
    assert locked.get("/models", **given).status_code == 200


@pytest.mark.parametrize("value", ["Basic ???", "Basic", "Bearer", "Digest open sesame", "open sesame", "Bearer ößé"])
def test_nothing_else_opens(locked, value) -> None:
    assert locked.get("/models", headers={"Authorization": value.encode("latin-1")}).status_code == 401


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize("value", [b"Basic \xff", b"Bearer \xff", b"Basic YTr/", b"\xff"])
def test_bytes_that_are_no_letters_open_nothing(locked, name, value) -> None:
    assert locked.get("/models", headers={name: value}).status_code == 401


def test_no_upload_is_read_without_the_key(locked) -> None:
    answer = locked.post("/tasks", data=b"x", headers={"Content-Type": "image/png"})
    assert answer.status_code == 401


def test_other_origins_are_shut_out_unless_configured(serve) -> None:
    origin = {"Origin": "https://lab.example"}
    shut = serve()
    assert not any(name.lower().startswith("access-control") for name in shut.get("/models", headers=origin).headers)
    opened = serve(cors_origins="https://lab.example, https://other.example", api_key="open sesame")
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    answer = requests.options(f"{opened.url}/model/predict", headers=asked, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://lab.example"
    stranger = opened.get("/models", headers={**KEY, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers


def test_a_page_can_read_errors(serve, monkeypatch, encode) -> None:
    origin = {"Origin": "https://lab.example"}
    server = serve(cors_origins="https://lab.example", api_key="open sesame")

    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(server.predictor, "predict", broken)
    image = {"files": {"image": ("a", encode(np.zeros((8, 8), np.uint8)))}}
    for status, answer in (
        (401, server.get("/models", headers=origin)),
        (404, server.get("/nowhere", headers={**KEY, **origin})),
        (405, server.post("/models", headers={**KEY, **origin})),
        (500, server.post("/model/predict", headers={**KEY, **origin}, **image)),
    ):
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "https://lab.example"


def test_the_methods_of_a_path_are_all_told(serve) -> None:
    server = serve()
    for path, methods in (
        ("/tasks/x", "DELETE, GET"),
        ("/tasks", "POST"),
        ("/masks/x", "GET"),
        ("/health/live", "GET"),
    ):
        answer = requests.request("PUT", server.url + path, timeout=60)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_the_log_names_the_path_that_no_route_has(serve, caplog, wait) -> None:
    server = serve()
    with caplog.at_level("INFO"):
        server.get("/no%0Awhere/%C3%BC")
        wait(lambda: r"GET /no\nwhere/\xfc 404" in caplog.text)


def test_an_open_service_is_warned_of(settings, monkeypatch, caplog) -> None:
    from nucseg.serving import server

    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self: None)
    monkeypatch.setattr(server, "set_up_logging", lambda settings: None)
    monkeypatch.setattr(server.signal, "signal", lambda *_: None)
    for given, warned in (({"host": "0.0.0.0"}, True), ({"host": "0.0.0.0", "api_key": "k"}, False), ({}, False)):
        caplog.clear()
        server.run_server(settings(**given))
        assert ("set NUCSEG_API_KEY" in caplog.text) is warned


def test_errors_carry_the_request_id_and_nothing_of_the_inside(serve, monkeypatch, encode, caplog) -> None:
    server = serve()

    def broken(*_, **__):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(server.predictor, "predict", broken)
    with caplog.at_level("ERROR"):
        answer = server.predict(encode(np.zeros((8, 8), np.uint8)))
    body = answer.json()
    assert answer.status_code == 500
    assert set(body) == {"status", "message", "request_id"}
    assert answer.headers["x-request-id"] == body["request_id"]
    assert body["request_id"] in caplog.text
    assert "/secret/path" in caplog.text
    for each in (answer, server.get("/nowhere"), server.predict(b"x"), server.post("/models")):
        told = each.text + str(each.headers)
        assert not re.search(r"secret|Traceback|\.py|uvicorn|starlette|fastapi|/tmp", told, re.IGNORECASE)
        assert each.json()["request_id"]
        assert "server" not in each.headers


def test_the_client_may_name_its_request(serve) -> None:
    server = serve()
    assert server.get("/nowhere", headers={"X-Request-ID": "mine-1"}).json()["request_id"] == "mine-1"
    assert server.get("/nowhere", headers={"X-Request-ID": "a b\tc"}).json()["request_id"] != "a b\tc"
    assert server.get("/nowhere", headers={"X-Request-ID": "x" * 65}).headers["x-request-id"] != "x" * 65


def test_the_answer_is_json_whatever_the_method(serve) -> None:
    server = serve()
    for method in ("PUT", "PATCH", "DELETE"):
        answer = requests.request(method, f"{server.url}/model/predict", timeout=60)
        assert answer.status_code == 405
        assert answer.json()["status"] == "error"
        assert answer.headers["allow"] == "POST"
