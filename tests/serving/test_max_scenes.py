"""What clients of MAX-Image-Segmenter rely on: what its own tests ask, and its way to resize pictures."""

import io
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import schemathesis
import tensorflow as tf
from PIL import Image

from deeplab_graph import graph_bytes
from nucseg.core.errors import ConfigError, ModelError
from nucseg.models.bundle import ModelBundle
from nucseg.models.deeplab.config import VOC_CLASSES
from nucseg.models.deeplab.graph import PublishedDeepLab
from nucseg.serving.answers.scenes import load, max_facts, resized
from nucseg.serving.service import build_sqs_worker, build_worker
from nucseg.serving.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
LIST = runpy.run_path(str(ROOT / "docs/list_commands.py"))
GREEN, RED, BLUE = (30, 200, 30), (200, 30, 30), (30, 30, 200)


def by_colours(image: tf.Tensor) -> None:
    """Call red pixels persons, blue ones tv, and green ones background."""
    largest = tf.argmax(tf.cast(image, tf.float32), -1)
    tf.identity(tf.gather(tf.constant([15, 0, 20], tf.int64), largest), name="SemanticPredictions")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "deeplab"
    ModelBundle("deeplab", PublishedDeepLab(VOC_CLASSES, graph_bytes(by_colours)), ()).save(folder)
    return folder


@pytest.fixture
def model_folder(saved):
    return saved


@pytest.fixture
def fake(saved):
    class Fakes:
        @staticmethod
        def Predictor(*_seconds: float):  # noqa: N802 - as the other's
            return load(saved, Settings(model=str(saved), precision="float32"))

    return Fakes


@pytest.fixture
def server(serve):
    return serve()


def picture() -> np.ndarray:
    image = np.full((600, 1200, 3), GREEN, np.uint8)
    image[250:400, 300:500], image[420:, 1000:] = RED, BLUE
    return image


def encoded(image: np.ndarray, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


def test_what_the_tests_of_the_original_ask(server) -> None:
    swagger = server.get("/swagger.json")
    assert swagger.status_code == 200
    assert swagger.headers["content-type"] == "application/json"
    assert "swagger" in swagger.json()
    assert swagger.json()["info"]["title"] == "MAX Image Segmenter"
    metadata = server.get("/model/metadata").json()
    assert metadata["id"] == "max-image-segmenter"
    assert metadata["name"] == "MAX Image Segmenter"
    said = "DeepLab TensorFlow model for semantic image segmentation, trained on VOCO 2012"
    assert metadata["description"] == said
    assert (metadata["license"], metadata["type"]) == ("Apache v2", "Object Detection")
    assert "max-image-segmenter" in metadata["source"]
    labels = server.get("/model/labels").json()
    assert len(labels) == 21
    assert labels[3] == {"id": 3, "name": "bird"}
    for kind in ("jpeg", "png"):
        answer = server.predict(encoded(picture(), kind))
        assert answer.status_code == 200
        body = answer.json()
        assert list(body) == ["status", "image_size", "seg_map"]
        assert body["status"] == "ok"
        assert body["image_size"] == [513, 513 // 2]
        assert np.shape(body["seg_map"]) == (256, 513)
        assert [body["seg_map"][y][x] for y, x in ((0, 0), (130, 170), (200, 500))] == [0, 15, 20]


def test_metadata_name_what_a_model_was_trained_on() -> None:
    facts = max_facts({}, ("background", "cat"))
    assert facts["description"].endswith("trained on data that its record does not name")
    assert max_facts({"own": "Cats of Ghent"}, VOC_CLASSES)["description"].endswith("trained on Cats of Ghent")


@pytest.mark.parametrize(
    "shape, size, expected",
    [((600, 1200), 513, (256, 513)), ((1, 1), 513, (513, 513)), ((20, 30), 333, (222, 333)), ((600, 1), 16, (16, 1))],
)
def test_pictures_are_resized_as_the_original_does_it(shape, size, expected) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = resized(image, size)
    assert found.shape == (*expected, 3)
    lanczos = Image.fromarray(image).convert("RGB").resize(expected[::-1], Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found, lanczos)


def test_pictures_of_any_look_are_taken(server) -> None:
    """What would be several stains on black, one in false colour, grey, one pixel, or with an alpha channel."""
    stage = np.zeros((60, 80, 3), np.uint8)
    stage[10:30, 10:30], stage[30:50, 50:70], stage[:10] = (255, 0, 0), (0, 0, 255), (0, 255, 0)
    body = server.predict(encoded(stage)).json()
    assert [body["seg_map"][y][x] for y, x in ((130, 130), (260, 390), (20, 20))] == [15, 20, 0]
    false = np.zeros((60, 80, 3), np.uint8)
    false[10:30, 10:30, 2] = 200
    assert server.predict(encoded(false)).json()["seg_map"][130][130] == 20
    grey = server.predict(encoded(np.full((9, 9), 80, np.uint8))).json()
    assert np.unique(grey["seg_map"]).tolist() == [15]  # no colour is larger: the first
    one = server.predict(encoded(np.full((1, 1, 3), BLUE, np.uint8))).json()
    assert one["image_size"] == [513, 513]
    assert np.unique(one["seg_map"]).tolist() == [20]
    alpha = np.dstack([picture(), np.full((600, 1200), 7, np.uint8)])
    assert server.predict(encoded(alpha)).json() == server.predict(encoded(picture())).json()


def test_what_is_no_picture_is_refused_in_the_words_of_the_original(server) -> None:
    deep = encoded(np.zeros((9, 9), np.uint16))
    for content, reason in (
        (b"no image", "not a TIFF, PNG or JPEG"),
        (b"", "empty"),
        (encoded(picture())[:300], "damaged"),
        (deep, "dtype uint16; send a picture of 8 bits"),
    ):
        answer = server.predict(content)
        assert answer.status_code == 400
        assert answer.json()["message"] == "The provided input is not a valid image."
        assert reason in answer.json()["errors"]["image"]
        assert "\n" not in answer.json()["errors"]["image"]


def test_other_mistakes(server, serve) -> None:
    missing = server.post("/model/predict", files={"picture": ("a", b"x")})
    assert missing.status_code == 400
    assert missing.json()["message"] == "Input payload validation failed"
    assert missing.json()["errors"]["image"].endswith("Missing required parameter in an uploaded file")
    assert server.get("/model/predict").status_code == 405
    assert server.get("/model/predict").json()["message"]
    assert server.predict(encoded(picture()), threshold=0.5).status_code == 400
    assert server.predict(encoded(picture()), model="other").status_code == 404
    large = serve(max_pixels=100).predict(encoded(picture()))
    assert large.status_code == 413
    assert "720000 pixels" in large.json()["message"]


def test_the_schemas_are_those_of_this_contract_alone(server) -> None:
    made = server.get("/swagger.json").json()
    schemathesis.openapi.from_dict(made).validate()
    assert made["info"]["version"] == "1.2.0"
    assert set(made["paths"]) == {"/model/predict", "/model/metadata", "/model/labels", "/models"}
    labels = made["paths"]["/model/labels"]["get"]["responses"]["200"]["schema"]
    assert (labels["type"], labels["items"]["$ref"]) == ("array", "#/definitions/Label")
    paths = server.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path.startswith(("/tasks", "/masks", "/look"))]
    assert server.get("/tasks/1").status_code == server.get("/look").status_code == 404
    assert server.get("/models").json()["models"][0]["classes"] == list(VOC_CLASSES)


def test_it_needs_no_task_table(serve, tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    server = serve(storage=str(tmp_path / "file"), database=f"sqlite:///{tmp_path}/file/tasks.sqlite")
    assert server.get("/health/ready").status_code == 200
    assert "nucseg_tasks{" not in server.get("/metrics").text


def test_pages_of_other_origins(serve) -> None:
    server = serve(cors_origins="*")
    for path in ("/model/labels", "/nothing"):
        assert server.get(path, headers={"Origin": "http://a"}).headers["access-control-allow-origin"] == "*"


def test_sagemaker(server) -> None:
    expected = server.predict(encoded(picture())).json()
    for accept in ("*/*", "application/json"):
        headers = {"Content-Type": "application/x-image", "Accept": accept}
        assert server.post("/invocations", data=encoded(picture()), headers=headers).json() == expected
    for accept in ("image/png", "application/x-image"):
        headers = {"Content-Type": "image/png", "Accept": accept}
        answer = server.post("/invocations", data=encoded(picture()), headers=headers)
        found = Image.open(io.BytesIO(answer.content))
        assert found.mode == "P"
        np.testing.assert_array_equal(np.asarray(found), expected["seg_map"])
        assert found.convert("RGB").getpixel((170, 130)) == (192, 128, 128)  # VOC's colour of persons


def test_workers_have_nothing_to_do(settings, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="model deeplab: its service has no tasks"):
        build_worker(settings())
    monkeypatch.setattr("nucseg.serving.service.sqs_client", lambda: None)
    with pytest.raises(ConfigError, match="model deeplab: finds no masks"):
        build_sqs_worker(settings(), queue_url="a", source="b", target="c")


def test_the_variables_of_the_original(saved, monkeypatch, caplog) -> None:
    monkeypatch.setenv("IMAGE_SIZE", "333")
    assert load_settings(model=str(saved)).image_size == 333
    assert load_settings(model=str(saved), image_size=20).image_size == 20
    assert not caplog.text
    for wrong in ("15", "1025", "-20", "large", ""):
        monkeypatch.setenv("IMAGE_SIZE", wrong)
        caplog.clear()
        assert load_settings(model=str(saved)).image_size == 513
        assert f"IMAGE_SIZE is {wrong!r}; it must be from 16 to 1024. 513 is used." in caplog.text
    monkeypatch.delenv("IMAGE_SIZE")
    for kind, model in (("mobile", saved), ("full", f"{saved}-full"), ("huge", saved)):
        monkeypatch.setenv("MODEL_TYPE", kind)
        caplog.clear()
        assert load_settings(model=str(saved)).model == str(model)
        assert ("MODEL_TYPE is 'huge'; it must be mobile or full. mobile is used." in caplog.text) == (kind == "huge")
    with pytest.raises(ConfigError, match="NUCSEG_IMAGE_SIZE"):
        load_settings(image_size=15)


def test_the_full_model_may_be_the_only_one(saved, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MODEL_TYPE", "full")
    shutil.copytree(saved, tmp_path / "city-full")
    assert load_settings(model=str(tmp_path / "city")).model == str(tmp_path / "city-full")
    with pytest.raises(ModelError, match="nowhere"):
        load_settings(model="nowhere")
    (tmp_path / "nuclei").mkdir()
    (tmp_path / "nuclei/config.json").write_text('{"model": "stardist"}')
    assert load_settings(model=str(tmp_path / "nuclei")).model == str(tmp_path / "nuclei")


def test_a_size_that_the_model_does_not_take(saved) -> None:
    with pytest.raises(ModelError, match=r"takes images of up to 513 pixels a side; set IMAGE_SIZE .*\(1024 is set\)"):
        load(saved, Settings(image_size=1024))


def test_the_commands_of_the_page_work(server, tmp_path) -> None:
    (block,) = [block for block in LIST["blocks"]() if block.title == "with the server of deeplab"]
    (tmp_path / "street.jpg").write_bytes(encoded(picture(), "jpeg"))
    script = block.text.replace("http://localhost:5000", server.url).replace("curl -s ", "curl --fail-with-body -sS ")
    assert script.count(server.url) >= 4
    answer = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    assert '{"status":"ok","image_size":[513,256],"seg_map":[[0,' in answer.stdout
    assert '[{"id":0,"name":"background"},{"id":1,"name":"aeroplane"},' in answer.stdout
    assert Image.open(tmp_path / "classes.png").size == (513, 256)
    starts = [block for block in LIST["blocks"]() if "nucseg serve --model deeplab" in block.text]
    assert {block.title for block in starts} == {"runs until it is stopped; needs a DeepLab"}
    assert shlex.split(starts[0].text.splitlines()[0])[:4] == ["nucseg", "serve", "--model", "deeplab"]
