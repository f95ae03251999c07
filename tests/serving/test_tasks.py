"""The routes of the queue, with a worker in this process."""

import csv
import io
import json
import uuid

import imagecodecs
import numpy as np
import pytest
import tifffile

from kaggle_masks import kaggle_decode
from nucseg.inference.options import PredictOptions
from nucseg.masks.rle import coco_decode

TIFF = {"Content-Type": "image/tiff"}


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def image(draw_nuclei):
    return draw_nuclei((80, 120), 9, seed=5)[0]


def submitted(server, data: bytes, **query) -> str:
    answer = server.post("/tasks", data=data, headers=TIFF, params=query)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/tasks/{answer.json()['id']}"
    assert answer.json()["status"] == "QUEUED"
    return answer.json()["id"]


def test_a_task_from_upload_to_result(server, make_worker, image, encode) -> None:
    task = submitted(server, encode(image, "tiff"))
    waiting = server.get(f"/tasks/{task}")
    assert waiting.json()["status"] == "QUEUED"
    assert int(waiting.headers["retry-after"]) > 0
    early = server.get(f"/masks/{task}")
    assert early.status_code == 409
    assert int(early.headers["retry-after"]) > 0

    assert make_worker().run_one()
    done = server.get(f"/tasks/{task}")
    expected = server.predictor.predict(image)
    assert "retry-after" not in done.headers
    body = done.json()
    assert body["status"] == "FINISHED"
    assert body["progress"] == 1
    assert body["nuclei"] == len(expected) > 0
    assert body["created"] <= body["started"] <= body["finished"] < body["expires"]
    assert body["error"] is None
    mask = server.get(f"/masks/{task}")
    assert mask.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(imagecodecs.png_decode(mask.content), 255 * (expected.labels > 0))


def test_every_format(server, make_worker, image, encode) -> None:
    task = submitted(server, encode(image, "tiff"))
    make_worker().run_one()
    expected = server.predictor.predict(image)

    def fetch(name: str) -> bytes:
        answer = server.get(f"/masks/{task}", params={"format": name})
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(answer.content))
        return answer.content

    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(fetch("labels"))), expected.labels)
    rows = list(csv.DictReader(io.StringIO(fetch("rle").decode())))
    np.testing.assert_array_equal(kaggle_decode([row["EncodedPixels"] for row in rows], (80, 120)), expected.labels)
    assert len(json.loads(fetch("geojson"))["features"]) == len(expected)
    masks = [each["segmentation"] for each in json.loads(fetch("coco"))["annotations"]]
    np.testing.assert_array_equal(coco_decode(masks, (80, 120)), expected.labels)
    table = list(csv.DictReader(io.StringIO(fetch("table").decode())))
    assert len(table) == len(expected)
    assert server.get(f"/masks/{task}", params={"format": "jpeg"}).status_code == 400


def test_only_the_formats_that_are_asked_for_are_written(server, make_worker, image, encode, tmp_path) -> None:
    task = submitted(server, encode(image, "tiff"), formats=["table", "labels", "table"])
    make_worker().run_one()
    assert {path.name for path in tmp_path.glob(f"files/{task}/*/*")} == {"labels.tif", "table.csv"}
    for name in ("labels", "table"):
        assert server.get(f"/masks/{task}", params={"format": name}).status_code == 200
    refused = server.get(f"/masks/{task}")
    assert refused.status_code == 409
    assert "retry-after" not in refused.headers
    assert "for the formats labels, table; submit the image again for mask" in refused.json()["message"]
    answer = server.post("/tasks", data=encode(image, "tiff"), headers=TIFF, params={"formats": "jpeg"})
    assert answer.status_code == 400
    assert "formats.0" in answer.json()["message"]


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; x=y"])
def test_the_content_tells_the_format(server, make_worker, image, encode, kind) -> None:
    answer = server.post("/tasks", data=encode(image), headers={"Content-Type": kind})
    assert answer.status_code == 201
    make_worker().run_one()
    assert server.get(f"/masks/{answer.json()['id']}").status_code == 200


def test_a_form_is_taken_too(server, make_worker, image, encode) -> None:
    answer = server.post("/tasks", files={"image": ("a.png", encode(image))})
    assert answer.status_code == 201
    make_worker().run_one()
    assert server.get(f"/tasks/{answer.json()['id']}").json()["status"] == "FINISHED"
    assert server.post("/tasks", files={"picture": ("a.png", encode(image))}).status_code == 400


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_other_bodies_are_refused(server, kind) -> None:
    answer = server.post("/tasks", data=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "image/png" in answer.json()["message"]


def test_threshold_and_model_travel_with_the_task(server, make_worker, image, encode) -> None:
    task = submitted(server, encode(image, "tiff"), threshold=0.5, model="fake")
    make_worker().run_one()
    expected = server.predictor.predict(image, PredictOptions(score_threshold=0.5))
    assert server.get(f"/tasks/{task}").json()["nuclei"] == len(expected)
    assert server.post("/tasks", data=b"x", headers=TIFF, params={"model": "none"}).status_code == 404


def test_channel_and_scale_travel_with_the_task(server, make_worker, image, monkeypatch) -> None:
    predict_source, scales = type(server.predictor).predict_source, []

    def recorded(self, source, options, **more):
        scales.append(options.scale)
        return predict_source(self, source, options, **more)

    monkeypatch.setattr(type(server.predictor), "predict_source", recorded)
    file = io.BytesIO()
    names = {"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}}
    tifffile.imwrite(file, np.stack([0 * image, image]), ome=True, metadata=names)
    tasks = [
        submitted(server, file.getvalue(), **given)
        for given in ({"channel": "dapi", "scale": 0.5}, {"channel": "0"}, {}, {"channel": "RFP"})
    ]
    worker = make_worker()
    for _ in tasks:
        worker.run_one()
    found, nothing, unchosen, missing = (server.get(f"/tasks/{task}").json() for task in tasks)
    assert (found["status"], found["nuclei"]) == ("FINISHED", len(server.predictor.predict(image)))
    assert (nothing["status"], nothing["nuclei"]) == ("FINISHED", 0)
    assert scales == [0.5, "auto"]
    rows = list(csv.DictReader(io.StringIO(server.get(f"/masks/{tasks[0]}", params={"format": "table"}).text)))
    labels = server.predictor.predict(image).labels
    for row in rows:
        assert float(row["nucleus_mean_GFP"]) == 0
        assert float(row["nucleus_mean_DAPI"]) == pytest.approx(image[labels == int(row["label"])].mean())
    assert "intensity_mean" not in rows[0]
    assert "holds 2 channels (GFP, DAPI); choose one with --channel" in unchosen["error"]
    assert "or ?channel= of POST /tasks" in unchosen["error"]
    assert "has no channel 'RFP'; allowed are GFP, DAPI" in missing["error"]
    assert server.post("/tasks", data=file.getvalue(), headers=TIFF, params={"scale": 99}).status_code == 400


def test_what_is_no_image_fails_at_once_or_says_why(server, make_worker, encode) -> None:
    assert server.post("/tasks", data=b"", headers=TIFF).status_code == 400
    for nothing in (b"no image", b""):
        for given in ({"data": nothing, "headers": TIFF}, {"files": {"image": ("a.tif", nothing)}}):
            answer = server.post("/tasks", **given)
            assert answer.status_code == 400
            assert "save it again" in answer.text or "the body is empty" in answer.text
    damaged = encode(np.zeros((64, 64), np.uint8))
    task = submitted(server, damaged[: len(damaged) // 2])
    make_worker().run_one()
    body = server.get(f"/tasks/{task}").json()
    assert body["status"] == "FAILED"
    assert body["attempts"] == 1
    assert "cannot be read" in body["error"]
    answer = server.get(f"/masks/{task}")
    assert answer.status_code == 409
    assert "retry-after" not in answer.headers
    assert "cannot be read" in answer.json()["message"]


@pytest.mark.parametrize(
    "name",
    [
        "1",
        "..%2f..%2fetc%2fpasswd",
        str(uuid.UUID(int=1, version=4)),
        str(uuid.UUID(int=2**127 - 1, version=4)).upper(),
    ],
)
def test_unknown_tasks(server, name) -> None:
    for path in (f"/tasks/{name}", f"/masks/{name}"):
        assert server.get(path).status_code == 404
    import requests

    assert requests.delete(f"{server.url}/tasks/{name}", timeout=10).status_code == 404


def test_a_task_is_removed_with_its_files(server, make_worker, image, encode, tmp_path) -> None:
    import requests

    task = submitted(server, encode(image, "tiff"))
    make_worker().run_one()
    assert (tmp_path / "files" / task).is_dir()
    answer = requests.delete(f"{server.url}/tasks/{task}", timeout=10)
    assert answer.status_code == 204
    assert answer.content == b""
    assert server.get(f"/tasks/{task}").status_code == 404
    assert server.get(f"/masks/{task}").status_code == 404
    assert not (tmp_path / "files" / task).exists()


def test_results_expire(serve, make_worker, image, encode, tmp_path, wait) -> None:
    server = serve(keep_hours=0.0001)
    task = submitted(server, encode(image, "tiff"))
    make_worker(keep_hours=0.0001).run_one()

    def gone() -> bool:
        server.service.queue.sweep()
        return server.get(f"/tasks/{task}").status_code == 410

    wait(gone)
    assert server.get(f"/masks/{task}").status_code == 410
    assert not (tmp_path / "files" / task).exists()


def test_a_full_queue_says_when_to_come_back(serve, image, encode, tmp_path) -> None:
    server = serve(max_queue=2)
    for _ in range(2):
        submitted(server, encode(image, "tiff"))
    answer = server.post("/tasks", data=encode(image, "tiff"), headers=TIFF)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert len([path for path in (tmp_path / "files").iterdir() if path.is_dir()]) == 2
