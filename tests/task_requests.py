"""Requests of tasks, and what a refused one looks like."""

import requests

TIFF = {"Content-Type": "image/tiff"}
HEALTHY = ("/health/live", "/ping", "/models", "/model/labels", "/metrics")


def post(server, data: bytes, **headers: str) -> requests.Response:
    return requests.post(f"{server.url}/tasks", data=data, headers={**TIFF, **headers}, timeout=60)


def ready(server) -> int:
    return requests.get(f"{server.url}/health/ready", timeout=60).status_code


def state(server, task: str) -> dict:
    return requests.get(f"{server.url}/tasks/{task}", timeout=60).json()


def refused(answer: requests.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]
    assert int(answer.headers["retry-after"]) > 0
