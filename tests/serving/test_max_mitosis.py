"""What clients of MAX-Breast-Cancer-Mitosis-Detector rely on, and slides as jobs."""

import csv
import io
import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from fake_classifier import DARK, VIOLET, DarkPatches, draw_slide
from fake_segmenter import FakeSegmenter
from nucseg.core.errors import ConfigError
from nucseg.core.types import Instances
from nucseg.inference.mitoses.predictor import SlidePredictor
from nucseg.inference.options import PredictOptions
from nucseg.models.bundle import ModelBundle
from nucseg.serving.answers.patches import ServedClassifier, max_facts
from nucseg.serving.results import MITOSES
from nucseg.serving.service import build_sqs_worker

MITOSES_AT = [(30.0, 40.0), (100.0, 200.0)]


def patch(colour, shape=(64, 64)) -> np.ndarray:
    return np.full((*shape, 3), colour, np.uint8)


def encoded(image: np.ndarray, kind: str = "png", mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image, mode).save(stream, kind)
    return stream.getvalue()


def served() -> ServedClassifier:
    def dark_parts(image: np.ndarray) -> Instances:
        labels = ndimage.label(image.mean(-1) < 0.7)[0]
        return Instances(labels.astype(np.int32), np.full(labels.max(), 0.9, np.float32))

    def load_slides() -> SlidePredictor:
        bundle = ModelBundle("fake", FakeSegmenter(dark_parts, in_channels=3), ())
        return SlidePredictor(bundle, PredictOptions(scale=1.0), 0.25)

    return ServedClassifier(DarkPatches(), load_slides)


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / "mitosis"
    folder.mkdir()
    (folder / "config.json").write_text('{"format": 1, "model": "patch_classifier", "name": "mitosis"}')
    (folder / "run.json").write_text('{"splits": {"train": ["tupac16/a"], "val": ["tupac16/b"]}}')
    return folder


@pytest.fixture
def fake():
    """Stand in for the module whose `Predictor` the servers of these tests load."""

    class Fakes:
        @staticmethod
        def Predictor(*_seconds: float) -> ServedClassifier:  # noqa: N802 - as the other's
            return served()

    return Fakes


@pytest.fixture
def server(serve):
    return serve()


def test_a_patch_has_one_probability(server) -> None:
    for colour, is_mitosis in ((DARK, True), (VIOLET, False)):
        answer = server.predict(encoded(patch(colour)))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert list(body) == ["status", "predictions"]
        assert body["status"] == "ok"
        (prediction,) = body["predictions"]
        assert list(prediction) == ["probability"]
        assert (prediction["probability"] > 0.5) == is_mitosis


def test_patches_of_other_formats_are_taken(server) -> None:
    with_alpha = np.dstack([patch(DARK), np.full((64, 64), 255, np.uint8)])
    expected = server.predict(encoded(patch(DARK))).json()
    assert server.predict(encoded(with_alpha)).json() == expected
    assert server.predict(encoded(patch(DARK), "tiff")).json() == expected
    jpeg = server.predict(encoded(patch(DARK), "jpeg"))
    assert jpeg.status_code == 200
    assert jpeg.json()["predictions"][0]["probability"] > 0.5


def test_other_patches_are_refused(server) -> None:
    size = "The input file must be a PNG image of size (64, 64). Got {} ({}, {})."
    grey = "image: is grey; mitoses are recognised in the colours of a stained slide. Send RGB."
    for image, kind, said in (
        (patch(DARK, (32, 32)), "png", size.format("PNG", 32, 32)),
        (patch(DARK, (64, 65)), "jpeg", size.format("JPEG", 65, 64)),
        (patch(DARK, (9, 64)), "tiff", size.format("TIFF", 64, 9)),
        (np.zeros((64, 64), np.uint8), "png", grey),
    ):
        answer = server.predict(encoded(image, kind))
        assert answer.status_code == 400
        assert answer.json()["message"] == said


def test_what_is_no_rgb_image_of_8_bits_is_refused_in_one_line(server) -> None:
    deep = io.BytesIO()
    tifffile.imwrite(deep, np.zeros((64, 64, 3), np.uint16), photometric="rgb")
    inks = encoded(np.zeros((64, 64, 4), np.uint8), "jpeg", "CMYK")
    for content, said in (
        (deep.getvalue(), "image: has pixels of dtype uint16; send RGB of 8 bits."),
        (inks, "CMYK"),
        (b"no image", "not a TIFF, PNG or JPEG"),
        (b"", "empty"),
    ):
        answer = server.predict(content)
        assert answer.status_code == 400
        assert said in answer.json()["message"]
        assert "\n" not in answer.json()["message"]


def test_a_request_without_an_image_or_by_another_method(server) -> None:
    for request in ({"files": {"picture": ("a", b"x")}}, {"data": {"image": "text"}}, {}):
        answer = server.post("/model/predict", **request)
        assert answer.status_code == 400
        assert answer.json()["message"] == "Input payload validation failed"
        assert "'image'" in answer.json()["errors"]["image"]
        assert answer.json()["errors"]["image"].endswith(" Missing required parameter in an uploaded file")
    wrong = server.get("/model/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["message"]
    assert server.post("/model/metadata").status_code == 405
    assert server.predict(encoded(patch(DARK)), threshold=0.5).status_code == 400


def test_metadata(server) -> None:
    metadata = server.get("/model/metadata").json()
    name = "MAX Breast Cancer Mitosis Detector Keras"
    assert metadata["id"] == "max breast cancer mitosis detector-keras-model"
    assert metadata["name"] == f"{name} Model"
    assert metadata["description"] == f"{name} model trained on TUPAC16 data to detect mitosis"
    assert metadata["type"] == "image_classification"
    assert metadata["license"] == "Custom"
    assert metadata["training_data"]["images"] == {"train": 1, "val": 1}
    assert max_facts({"own": "Slides of Ghent"}, ())["description"].endswith(
        "on Slides of Ghent data to detect mitosis"
    )


def test_the_schemas_are_those_of_this_task_alone(server) -> None:
    answer = server.get("/swagger.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    made = answer.json()
    assert made["swagger"] == "2.0"
    assert made["info"]["title"] == "MAX Breast Cancer Mitosis Detector"
    assert set(made["paths"]) == {"/model/predict", "/model/metadata", "/models"}
    assert [each["name"] for each in made["paths"]["/model/predict"]["post"]["parameters"]] == ["model", "image"]
    assert server.get("/model/labels").status_code == 404
    paths = server.get("/openapi.json").json()["paths"]
    assert "mask" not in json.dumps([paths["/model/predict"], paths["/invocations"]])
    (formats,) = [each for each in paths["/masks/{task_id}"]["get"]["parameters"] if each["name"] == "format"]
    assert formats["schema"]["enum"] == list(MITOSES)


def test_pages_of_other_origins(serve) -> None:
    server = serve(cors_origins="*")
    for path in ("/model/metadata", "/model/predict", "/nothing"):
        assert server.get(path, headers={"Origin": "http://a"}).headers["access-control-allow-origin"] == "*"


def test_sagemaker(server) -> None:
    assert server.get("/ping").status_code == 200
    for accept in ("*/*", "image/png"):
        headers = {"Content-Type": "image/png", "Accept": accept}
        answer = server.post("/invocations", data=encoded(patch(DARK)), headers=headers)
        assert answer.status_code == 200
        assert answer.json()["predictions"][0]["probability"] > 0.5


@pytest.fixture
def slide() -> bytes:
    image, _ = draw_slide((150, 240), [(60.0, 120.0), (120.0, 20.0)], MITOSES_AT)
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, photometric="rgb", resolution=(40_000, 40_000), resolutionunit="CENTIMETER")
    return stream.getvalue()


def test_slides_are_jobs(server, make_worker, slide) -> None:
    headers = {"Content-Type": "image/tiff"}
    task = server.post("/tasks", data=slide, headers=headers).json()["id"]
    weak = server.post("/tasks", data=slide, headers=headers, params={"threshold": 0.05, "formats": "json"}).json()[
        "id"
    ]
    grey = encoded(np.zeros((70, 80), np.uint8))
    refused = server.post("/tasks", data=grey, headers={"Content-Type": "image/png"}).json()["id"]
    unknown = {"headers": {"Content-Type": "image/png"}, "data": encoded(tifffile.imread(io.BytesIO(slide)))}
    unnamed = server.post("/tasks", **unknown).json()["id"]
    named = server.post("/tasks", **unknown, params={"pixel_size": 0.25}).json()["id"]
    worker = make_worker()
    while worker.run_one():
        pass
    state = server.get(f"/tasks/{task}").json()
    assert (state["status"], state["nuclei"], state["progress"]) == ("FINISHED", 4, 1.0)
    table = list(csv.DictReader(server.get(f"/masks/{task}").text.splitlines()))
    places = sorted((float(row["centroid-0"]), float(row["centroid-1"])) for row in table)
    np.testing.assert_allclose(places, MITOSES_AT, atol=1)
    points = server.get(f"/masks/{task}", params={"format": "geojson"}).json()["features"]
    assert len(points) == 2
    counts = server.get(f"/masks/{task}", params={"format": "json"}).json()
    assert (counts["nuclei"], counts["mitoses"]) == (4, 2)
    picture = server.get(f"/masks/{task}", params={"format": "png"})
    assert Image.open(io.BytesIO(picture.content)).size == (240, 150)
    assert server.get(f"/masks/{weak}", params={"format": "json"}).json()["mitoses"] == 4
    assert server.get(f"/masks/{weak}").status_code == 409
    failed = server.get(f"/tasks/{refused}").json()
    assert failed["status"] == "FAILED"
    assert failed["error"].startswith("image: is a grey image.")
    failed = server.get(f"/tasks/{unnamed}").json()
    assert (failed["status"], failed["attempts"]) == ("FAILED", 1)
    assert failed["error"].startswith("image: its pixel size is unknown,")
    assert server.get(f"/masks/{named}", params={"format": "json"}).json()["mitoses"] == 2
    assert server.get(f"/masks/{task}", params={"format": "mask"}).status_code == 400


def test_sqs_is_for_masks(settings, monkeypatch) -> None:
    monkeypatch.setattr("nucseg.serving.service.sqs_client", lambda: None)
    with pytest.raises(ConfigError, match="model mitosis: finds no masks, which is what SQS workers write"):
        build_sqs_worker(settings(), queue_url="a", source="b", target="c")
