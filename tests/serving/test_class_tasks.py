"""The service of am-segm: images as tasks, the probabilities as masks; SQS with registration, and SageMaker."""

import io
import json
import runpy
import shlex
import subprocess
import threading
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import schemathesis
import tifffile
from click.testing import CliRunner
from PIL import Image

from fake_classes import Brightness
from nucseg.cli import cli
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.models.bundle import ModelBundle
from nucseg.serving.answers.probabilities import ServedClasses
from nucseg.serving.plane import DataPlane
from nucseg.serving.results import CLASSES
from nucseg.serving.service import build_models
from nucseg.serving.worker.sqs import SqsWorker

ROOT = Path(__file__).parents[2]
LIST = runpy.run_path(str(ROOT / "docs/list_commands.py"))
PNG = {"Content-Type": "image/png"}


def served(model: Brightness) -> ServedClasses:
    bundle = ModelBundle("marks", model, ())  # type: ignore[arg-type]
    return ServedClasses(SemanticPredictor(bundle, PredictOptions(precision="float32")))


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    config = {"format": 1, "model": "unet", "name": "marks", "architecture": {"classes": ["background", "mark"]}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text("{}")
    return folder


@pytest.fixture
def fake():
    class Fakes:
        @staticmethod
        def Predictor(*_seconds: float) -> ServedClasses:  # noqa: N802 - as the other's
            return served(Brightness(max_side=64))

    return Fakes


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 230), dtype=np.uint8)


def test_a_mask_is_the_probabilities_of_a_tiled_image(server, make_worker, image, encode) -> None:
    answer = server.post("/tasks", data=encode(image), headers=PNG)
    assert answer.status_code == 201
    task = answer.json()["id"]
    assert answer.headers["location"] == f"/tasks/{task}"
    assert server.get(f"/tasks/{task}").json()["status"] == "QUEUED"
    assert server.get(f"/masks/{task}").status_code == 409
    model = Brightness(max_side=64)
    assert make_worker(served(model)).run_one()
    assert len(model.seen) == 12
    state = server.get(f"/tasks/{task}").json()
    assert (state["status"], state["progress"]) == ("FINISHED", 1.0)
    assert "nuclei" not in state
    mask = server.get(f"/masks/{task}")
    assert mask.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(imagecodecs.png_decode(mask.content), image)
    classes = tifffile.imread(io.BytesIO(server.get(f"/masks/{task}", params={"format": "classes"}).content))
    np.testing.assert_array_equal(classes, image > 127)
    pages = tifffile.imread(io.BytesIO(server.get(f"/masks/{task}", params={"format": "probabilities"}).content))
    np.testing.assert_array_equal(pages, image)
    assert server.get(f"/masks/{task}", params={"format": "geojson"}).status_code == 400


def test_with_several_classes_the_mask_is_what_class_0_lacks(server, make_worker, image, encode) -> None:
    task = server.post("/tasks", data=encode(image), headers=PNG).json()["id"]
    assert make_worker(served(Brightness(("background", "mark", "dirt")))).run_one()
    mask = imagecodecs.png_decode(server.get(f"/masks/{task}").content).astype(int)
    np.testing.assert_allclose(mask, image + (255 - image.astype(int)) / 2, atol=1)
    pages = tifffile.imread(io.BytesIO(server.get(f"/masks/{task}", params={"format": "probabilities"}).content))
    assert pages.shape == (2, 150, 230)


def test_an_image_of_one_pixel(server, make_worker, encode) -> None:
    task = server.post("/tasks", data=encode(np.full((1, 1), 200, np.uint8)), headers=PNG).json()["id"]
    assert make_worker().run_one()
    assert imagecodecs.png_decode(server.get(f"/masks/{task}").content).tolist() == [[200]]


def test_mistakes_are_told_as_the_original_does(server, serve, make_worker, image, encode) -> None:
    wrong = server.post("/tasks", data=b"text", headers={"Content-Type": "text/plain"})
    assert wrong.status_code == 400
    assert wrong.json()["title"] == "Bad Request"
    assert wrong.json()["description"] == wrong.json()["message"]
    assert wrong.json()["description"].startswith("send an image: image/png")
    for request, status, said in (
        ({"data": b"text", "headers": PNG}, 400, "not a TIFF, PNG or JPEG"),
        ({"data": encode(image), "headers": PNG, "params": {"threshold": 0.5}}, 400, "'threshold' is unknown"),
        ({"data": encode(image), "headers": PNG, "params": {"model": "other"}}, 404, "unknown"),
        ({"data": encode(image), "headers": PNG, "params": {"formats": "labels"}}, 400, "formats"),
    ):
        answer = server.post("/tasks", **request)
        assert answer.status_code == status
        assert answer.json()["title"]
        assert said in answer.json()["description"]
        assert "\n" not in answer.json()["description"]
    assert server.get("/tasks/nothing").json()["title"] == "Not Found"
    assert serve(max_task_pixels=100).post("/tasks", data=encode(image), headers=PNG).status_code == 413
    planes = io.BytesIO()
    tifffile.imwrite(planes, np.zeros((4, 9, 9), np.uint8), metadata={"axes": "CYX"}, imagej=True)
    task = server.post("/tasks", data=planes.getvalue(), headers={"Content-Type": "image/tiff"}).json()["id"]
    assert make_worker().run_one()
    state = server.get(f"/tasks/{task}").json()
    assert state["status"] == "FAILED"
    assert "channel" in state["error"]


def test_the_schemas_are_those_of_this_contract_alone(server) -> None:
    made = server.get("/swagger.json").json()
    schemathesis.openapi.from_dict(made).validate()
    assert set(made["paths"]) == {"/models", "/tasks", "/tasks/{task_id}", "/masks/{task_id}"}
    create = made["paths"]["/tasks"]["post"]
    assert create["consumes"][0] == "image/png"
    assert [each["name"] for each in create["parameters"] if each["in"] != "header"] == [
        *("model", "formats", "channel", "scale", "image")
    ]
    assert create["responses"]["201"]["headers"]["Location"]["type"] == "string"
    assert "415" not in create["responses"]
    assert made["paths"]["/masks/{task_id}"]["get"]["responses"]["200"]["schema"] == {"type": "file"}
    assert "nuclei" not in str(made["definitions"]["TaskState"])
    paths = server.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path.startswith(("/model/", "/look"))]
    assert set(paths["/invocations"]["post"]["responses"]["200"]["content"]) == {"image/png"}
    for path in ("/model/predict", "/model/labels", "/model/metadata", "/look"):
        assert server.get(path).status_code == 404
    assert server.get("/models").json()["models"][0]["classes"] == ["background", "mark"]


def test_sagemaker(server, image, encode) -> None:
    assert server.get("/ping").status_code == 200
    for accept in ("application/x-image", "image/png", "*/*"):
        headers = {"Content-Type": "application/x-image", "Accept": accept}
        answer = server.post("/invocations", data=encode(image), headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        np.testing.assert_array_equal(imagecodecs.png_decode(answer.content), (image > 127) * 255)
    refused = server.post("/invocations", data=encode(image), headers=PNG | {"Accept": "application/json"})
    assert refused.status_code == 406
    assert refused.json()["description"] == "the answer is a mask as PNG; accept image/png or application/x-image."


def test_submit_numbers_the_marks(cloud, settings, fake, encode, tmp_path) -> None:
    models = build_models(settings(), lambda folder, precision: fake.Predictor())
    worker = SqsWorker(cloud.client, cloud.queue, cloud.images, cloud.masks, DataPlane(models, 10**6))
    folder = tmp_path / "slides"
    folder.mkdir()
    marks = (ROOT / "samples/ablation/marks.png").read_bytes()
    (folder / "a.png").write_bytes(marks)
    (folder / "b.png").write_bytes(encode(np.asarray(Image.open(io.BytesIO(marks)))[:, :200]))
    (block,) = [block for block in LIST["blocks"]() if block.title == "with workers of marks"]
    (command,) = block.commands()
    ours = {"slides": str(folder), "s3://bucket/images": cloud.source, "s3://bucket/masks": cloud.target}
    words = [cloud.queue if word.startswith("https://sqs") else ours.get(word, word) for word in shlex.split(command)]
    stop = threading.Event()
    working = threading.Thread(target=worker.run, args=(stop,))
    working.start()
    try:
        ended = CliRunner().invoke(cli, words[1:])
    finally:
        stop.set()
        working.join()
    # Half of the second grid is missing: it is refused, and the first is there all the same.
    assert ended.exit_code == 1
    assert "8 x 10 cells:" in ended.output
    assert "Failed: " in ended.output
    assert "b.png.mask.png" in ended.output
    masks = folder / "masks"
    assert sorted(path.name for path in masks.iterdir()) == [
        *("a.png.classes.tif", "a.png.mask.png", "b.png.classes.tif", "b.png.mask.png", "registered")
    ]
    np.testing.assert_array_equal(
        imagecodecs.png_decode((masks / "a.png.mask.png").read_bytes()), imagecodecs.imread(io.BytesIO(marks))
    )
    assert sorted(path.name for path in (masks / "registered").iterdir()) == [
        *("a.png_marks.csv", "a.png_numbers.tif", "a.png_overlay.png")
    ]
    table = pd.read_csv(masks / "registered/a.png_marks.csv")
    assert len(table) == 80
    assert (table["status"] != "missing").sum() == 76


def test_rows_and_columns_belong_together(tmp_path) -> None:
    options = ["--sqs", "a", "--input", "b", "--output", "c", "--rows", "8"]
    ended = CliRunner().invoke(cli, ["submit", str(tmp_path), *options])
    assert ended.exit_code == 2
    assert "--rows and --cols must be given together" in ended.output


def test_the_commands_of_the_page_work(server, make_worker, tmp_path) -> None:
    (block,) = [block for block in LIST["blocks"]() if block.title == "with the server of marks"]
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    script = block.text.replace("http://localhost:5000", server.url).replace("curl -s ", "curl --fail-with-body -sS ")
    stop = threading.Event()
    working = threading.Thread(target=make_worker().run, args=(stop,))
    working.start()
    try:
        answer = subprocess.run(
            ["bash", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
    finally:
        stop.set()
        working.join()
    assert answer.returncode == 0, answer.stderr
    for name in ("mask.png", "classes.tif", "probabilities.tif", "areas.png"):
        assert (tmp_path / name).stat().st_size > 100
    assert [name for name in CLASSES if name not in script] == []
