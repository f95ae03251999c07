"""The training set of a server, and trainings as tasks; the command that trains is a stand-in."""

import json
import sys
import threading
import time

import numpy as np
import pytest
import requests

from look_page import LookPage
from nucseg.images.io import read_image, read_labels
from nucseg.serving.worker import training

TIFF = {"Content-Type": "image/tiff"}
JSON = {"Content-Type": "application/geo+json"}
ONE = {
    "type": "FeatureCollection",
    "features": [{"geometry": {"type": "Polygon", "coordinates": [[[5, 5], [25, 5], [25, 25], [5, 25], [5, 5]]]}}],
}

# Writes what `nucseg train` does, and how many images and labels it saw.
STAND_IN = """
import json, os, pathlib, sys
images, labels, name, report = sys.argv[1], sys.argv[2], sys.argv[sys.argv.index("--name") + 1], sys.argv[-1]
if name == "failing":
    sys.exit("Error: the 5 images show only 1 different field; a training needs at least 3.")
if name == "endless":
    sys.stdin.read()  # which ends with the worker
model = pathlib.Path(os.environ["NUCSEG_MODELS"]) / name
model.mkdir(parents=True)
if name == "broken":  # after the model was written, before its report
    (model / "config.json").write_text("{}")
    sys.exit(2)
(model / "config.json").write_text('{"format": 1, "model": "stardist", "name": "mine", "preprocessing": []}')
for each, f1 in (("fake", 0.5), (name, 0.75)):
    folder = pathlib.Path(report) / each
    folder.mkdir(parents=True)
    seen = len(os.listdir(images)), len(os.listdir(labels))
    overall = {"n_images": seen[0], "n_true": seen[1], "f1_50": f1, "ap_50": f1, "ap_mean_50_90": f1}
    (folder / "metrics.json").write_text(json.dumps({"model": each, "overall": overall}))
(pathlib.Path(report) / "report.html").write_text("<h1>Report</h1>")
"""


@pytest.fixture
def server(serve, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "COMMAND", (sys.executable, "-c", STAND_IN))
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    return serve()


@pytest.fixture
def image(draw_nuclei):
    return draw_nuclei((60, 70), 5, seed=3, noise=0)[0]


@pytest.fixture
def add(server, make_worker, encode, image):
    """Return a function that predicts an image and adds it with corrections to the training set."""

    def add(pixels=image, body=ONE, **query):
        task = server.post("/tasks", data=encode(pixels, "tiff"), headers=TIFF).json()["id"]
        assert make_worker().run_one()
        return server.post(f"/look/tasks/{task}/training", data=json.dumps(body), headers=JSON, params=query)

    return add


def start(server, name="mine", **more):
    return server.post("/look/training", params={"name": name, "minutes": 1, **more})


def deleted(server, path):
    return requests.delete(server.url + path, timeout=60).status_code


def test_corrections_are_kept_with_their_image(server, add, image, tmp_path) -> None:
    assert add(name="a/b").status_code == 400
    assert add(name="a b?").json() == {"images": 1, "needed": 5}
    assert server.get("/look/training").json() == {"images": 1, "needed": 5}
    (file,) = (tmp_path / "files/training/images").iterdir()
    assert file.name.startswith("a b_-")
    np.testing.assert_array_equal(read_image(file), image)
    expected = np.zeros((60, 70), int)
    expected[5:25, 5:25] = 1
    np.testing.assert_array_equal(read_labels(tmp_path / "files/training/labels" / file.name), expected)
    assert server.service.queue.storage.names("training/labels") == [file.name]
    assert deleted(server, "/look/training") == 204
    assert server.get("/look/training").json()["images"] == 0


def test_a_second_correction_replaces_the_first(server, make_worker, encode, image) -> None:
    task = server.post("/tasks", data=encode(image, "tiff"), headers=TIFF).json()["id"]
    assert make_worker().run_one()
    for body in (ONE, {**ONE, "features": []}):
        answer = server.post(f"/look/tasks/{task}/training", data=json.dumps(body), headers=JSON)
        assert answer.json()["images"] == 1


def test_corrections_of_another_size_are_not_added(server, add) -> None:
    answer = add(body={**ONE, "image": {"width": 10, "height": 10}})
    assert answer.status_code == 400
    assert "was made for an image of 10 x 10 pixels" in answer.json()["message"]
    assert server.get("/look/training").json()["images"] == 0


@pytest.mark.parametrize(
    "name, status, text",
    [
        ("fake one", 400, "name: "),
        ("stardist", 409, "there is a model stardist already, and a training does not replace it"),
        ("mine", 409, "the training set has 0 images; a training needs at least 5"),
    ],
)
def test_a_training_that_cannot_be_is_refused(server, name, status, text) -> None:
    answer = start(server, name)
    assert answer.status_code == status
    assert text in answer.json()["message"]


@pytest.fixture
def five(add):
    for number in range(5):
        assert add(name=f"image{number}").status_code == 200


def test_a_training_from_its_images_to_the_scores(server, five, make_worker, tmp_path) -> None:
    queued = start(server)
    assert queued.status_code == 201
    task = queued.json()["id"]
    assert queued.headers["location"] == f"/tasks/{task}"
    assert server.get(f"/look/training/{task}").status_code == 409
    assert make_worker().run_one()
    assert server.get(f"/tasks/{task}").json()["status"] == "FINISHED"
    scores = server.get(f"/look/training/{task}").json()
    assert (scores["before"]["model"], scores["after"]["model"], scores["better"]) == ("fake", "mine", True)
    assert scores["after"]["n_images"] == 5
    report = server.get(f"/look/training/{task}/report")
    assert report.text == "<h1>Report</h1>"
    assert report.headers["content-type"].startswith("text/html")
    assert server.get(f"/masks/{task}").status_code == 409
    assert "mine" in [model["name"] for model in server.get("/models").json()["models"]]
    assert "there is a model mine already" in start(server).json()["message"]


def test_why_a_training_failed(server, five, make_worker) -> None:
    task = start(server, "failing").json()["id"]
    assert make_worker().run_one()
    state = server.get(f"/tasks/{task}").json()
    assert (state["status"], state["attempts"]) == ("FAILED", 1)
    assert state["error"] == "the 5 images show only 1 different field; a training needs at least 3."


def test_a_training_that_breaks_is_tried_again_and_leaves_no_model(server, five, make_worker, tmp_path) -> None:
    task = start(server, "broken").json()["id"]
    for attempt in (1, 2, 3):
        assert make_worker().run_one()
        assert server.get(f"/tasks/{task}").json()["attempts"] == attempt
    state = server.get(f"/tasks/{task}").json()
    assert (state["status"], state["error"]) == ("FAILED", "Internal error (logged with this task's id).")
    assert not (tmp_path / "models/broken").exists()


def test_a_training_ends_when_its_task_is_deleted(server, five, make_worker, wait) -> None:
    task = start(server, "endless").json()["id"]
    worker = threading.Thread(target=make_worker(lease=3).run_one)
    began = time.monotonic()
    worker.start()
    wait(lambda: server.get(f"/tasks/{task}").json()["status"] == "PROCESSING")
    assert deleted(server, f"/tasks/{task}") == 204
    worker.join(60)
    assert not worker.is_alive()
    assert time.monotonic() - began < 90


def test_a_prediction_has_no_scores(server, make_worker, encode, image) -> None:
    task = server.post("/tasks", data=encode(image, "tiff"), headers=TIFF).json()["id"]
    assert make_worker().run_one()
    answer = server.get(f"/look/training/{task}")
    assert answer.status_code == 409
    assert "is a prediction, not a training" in answer.json()["message"]


def test_in_the_browser_to_a_better_model(server, five, browser, make_worker, encode, image) -> None:
    task = server.post("/tasks", data=encode(image, "tiff"), headers=TIFF).json()["id"]
    assert make_worker().run_one()
    page = LookPage(browser, f"{server.url}/look")
    page.tab.fill("#task", task)
    page.tab.click("#open")
    page.tab.wait_for_function("() => page.nuclei !== null")
    page.press("n", "d")
    page.tab.click("#train-add")
    page.tab.wait_for_function("() => document.getElementById('train-set').textContent.startsWith('6 images')")
    page.tab.fill("#train-name", "mine")
    page.tab.fill("#train-minutes", "1")
    page.tab.click("#train-start")
    page.tab.wait_for_function("() => document.getElementById('train-result').textContent.includes('queued')")
    page.reload()  # the training is followed on
    page.tab.wait_for_function("() => document.getElementById('train-result').textContent.includes('queued')")
    assert make_worker().run_one()
    page.tab.locator("#train-result table").wait_for(timeout=60_000)
    assert "mine is at least as good as fake: choose it above." in page.tab.inner_text("#train-result")
    assert "0.500" in page.tab.inner_text("#train-result")
    page.tab.wait_for_function("() => [...document.getElementById('model').options].some((o) => o.value === 'mine')")
    assert page.errors == []
    page.context.close()
