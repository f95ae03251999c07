"""What clients of MAX-Nucleus-Segmenter rely on."""

import numpy as np
import pytest
import requests

from kaggle_masks import kaggle_decode
from nucseg.models.registry import MODELS
from nucseg.serving.answers import instances
from nucseg.serving.errors import UnknownModelError
from nucseg.serving.service import build_models

PREDICT = "/model/predict"


def painted(predictions, shape):
    """Paint the answer's masks as an old client would: columns first, 1-based; each pixel once."""
    labels = np.zeros(shape[0] * shape[1], np.int32)
    for number, prediction in enumerate(predictions, start=1):
        for start, length in zip(prediction["mask"][::2], prediction["mask"][1::2], strict=True):
            assert (labels[start - 1 : start - 1 + length] == 0).all(), "masks overlap"
            labels[start - 1 : start - 1 + length] = number
    return labels.reshape(shape, order="F")


@pytest.fixture
def server(serve):
    return serve()


@pytest.mark.parametrize("suffix", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("modality", ["fluorescence", "histology"])
def test_masks_are_the_label_image_in_the_order_of_falling_probability(
    server, draw_nuclei, encode, suffix, modality
) -> None:
    image, _ = draw_nuclei((70, 111), 8, seed=3, modality=modality)
    data = encode(image, suffix)
    answer = server.predict(data)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["status", "predictions"]
    assert body["status"] == "ok"
    probabilities = [each["probability"] for each in body["predictions"]]
    assert probabilities == sorted(probabilities, reverse=True)
    if suffix != "jpeg":  # which changes pixels
        expected = server.predictor.predict(image)
        np.testing.assert_array_equal(painted(body["predictions"], (70, 111)), expected.labels)
        assert len(probabilities) == len(expected) > 0
        masks = [" ".join(map(str, each["mask"])) for each in body["predictions"]]
        np.testing.assert_array_equal(kaggle_decode(masks, (70, 111)), expected.labels)


def test_a_mask_by_hand(server, encode) -> None:
    image = np.zeros((3, 4), np.uint8)
    image[1:, 1:3] = 255  # pixels 5, 6 and 8, 9 of the columns

    assert server.predict(encode(image)).json()["predictions"] == [
        {"mask": [5, 2, 8, 2], "probability": pytest.approx(0.95)}
    ]


def test_an_image_without_nuclei_has_no_predictions(server, encode) -> None:
    answer = server.predict(encode(np.zeros((64, 64), np.uint8)))

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "predictions": []}


@pytest.mark.parametrize("content", [b"no image", b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(server, content) -> None:
    answer = server.predict(content)

    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    assert answer.json()["message"]


def test_an_image_that_is_not_sent_is_missed(server) -> None:
    for request in ({"files": {"picture": ("a", b"x")}}, {"data": {"image": "text"}}, {"data": b"raw"}, {}):
        answer = server.post(PREDICT, **request)
        assert answer.status_code == 400
        assert answer.json()["message"] == "Input payload validation failed"
        assert "'image'" in answer.json()["errors"]["image"]
        assert answer.json()["errors"]["image"].endswith(" Missing required parameter in an uploaded file")


def test_misspelt_parameters_are_refused(server, encode) -> None:
    image = encode(np.zeros((8, 8), np.uint8))
    answer = server.predict(image, treshold=0.7)
    assert answer.status_code == 400
    assert "parameter 'treshold' is unknown; allowed are model, threshold" in answer.json()["message"]
    form = server.post(PREDICT, files={"image": ("a", image)}, data={"threshold": "0.7"})
    assert form.status_code == 400
    assert "unknown field 'threshold'; send the file as 'image', parameters in the URL" in form.json()["message"]
    png = {"Content-Type": "image/png"}
    assert server.post("/tasks", data=image, headers=png, params={"format": "mask"}).status_code == 400


def test_every_route_but_the_probes_refuses_parameters_that_it_does_not_have(server) -> None:
    task = "/tasks/00000000-0000-0000-0000-000000000000"
    for method, path in (
        ("get", "/models"),
        ("get", task),
        ("delete", task),
        ("get", "/look"),
        ("get", "/look/training"),
    ):
        answer = requests.request(method, server.url + path, params={"modle": "x"}, timeout=60)
        assert answer.status_code == 400, path
        assert answer.json()["message"] == "parameter 'modle' is unknown; none is allowed here."
    for path in ("/health/live", "/health/ready", "/metrics", "/ping"):
        assert server.get(path, params={"probe": "1"}).status_code == 200
    assert server.post("/invocations", data=b"x", params={"probe": "1"}).status_code == 415


def test_parameters_given_twice_are_refused(server, encode) -> None:
    answer = server.predict(encode(np.zeros((8, 8), np.uint8)), threshold=[0.99, 0.5])
    assert answer.status_code == 400
    assert answer.json()["message"] == "threshold: is given twice; give it once."
    assert server.get("/model/metadata", params={"model": ["a"] * 3}).json()["message"].startswith("model: is given 3 ")


def test_a_threshold_takes_the_weaker_ones_away(server, draw_nuclei, encode) -> None:
    image = encode(draw_nuclei((90, 90), 9, seed=1)[0])
    every = server.predict(image).json()["predictions"]
    some = server.predict(image, threshold=0.5).json()["predictions"]

    assert 0 < len(some) < len(every)
    assert some == [each for each in every if each["probability"] >= 0.5]
    for wrong in ("0", "1.1", "nan", "high"):
        assert server.predict(image, threshold=wrong).status_code == 400


def test_models_are_named_and_never_paths(server, model_folder, encode, monkeypatch) -> None:
    image = encode(np.zeros((8, 8), np.uint8))
    assert server.predict(image, model="fake").status_code == 200
    for name in ("other", str(model_folder), f"../{model_folder.name}", "../../etc", "a\0b"):
        answer = server.predict(image, model=name)
        assert answer.status_code == 404, name
        assert answer.json()["status"] == "error"
    monkeypatch.setenv("NUCSEG_MODELS", str(model_folder.parent))
    (model_folder.parent / "second").mkdir(exist_ok=True)
    (model_folder.parent / "second/config.json").write_text("{}")
    listed = server.get("/models").json()["models"]
    # Who has pulled the shipped models sees them, too.
    assert {each["name"]: each["default"] for each in listed if each["name"] not in MODELS} == {
        "fake": True,
        "second": False,
    }
    assert listed[0]["name"] == "fake"
    assert server.predict(image, model="second").status_code == 200
    assert server.get("/model/metadata", params={"model": "second"}).status_code == 500
    assert server.get("/model/metadata", params={"model": "third"}).status_code == 404


def test_models_of_another_task_are_not_offered(settings, model_folder, tmp_path, monkeypatch) -> None:
    for name, kind in (("nuclei", "mask_rcnn"), ("tissue", "unet"), ("damaged", "")):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text(f'{{"model": "{kind}"}}' if kind else "[]")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    models = build_models(settings())
    assert models.answers is instances
    # What says no task is told about when it is used.
    assert [name for name in models.names() if name not in MODELS] == ["fake", "damaged", "nuclei"]
    with pytest.raises(UnknownModelError, match="'tissue' is unknown"):
        models.folder("tissue")


def test_metadata_are_what_clients_of_max_check(server) -> None:
    metadata = server.get("/model/metadata").json()

    assert metadata["id"] == "max-nucleus-segmenter"
    assert metadata["name"] == "MAX Nucleus Segmenter"
    assert metadata["description"] == (
        "Nucleus image segmentation model trained with Keras on 2018 Data Science Bowl dataset"
    )
    assert metadata["type"] == "Object Detection"
    assert metadata["license"] == "Apache License 2.0"
    assert metadata["source"]
    assert metadata["training_data"]["images"] == {"train": 2, "val": 1}
    assert metadata["training_data"]["datasets"][0]["license"] == "CC0 1.0"
    assert metadata["scores"] == {"f1_50": 0.9}


def test_the_version_is_that_of_the_content(server, settings, fake, model_folder, tmp_path) -> None:
    import shutil

    version = server.get("/model/metadata").json()["version"]
    assert len(version) == 16
    versions = []
    for name, change in (("same", ""), ("changed", " ")):
        shutil.copytree(model_folder, tmp_path / name)
        with (tmp_path / name / "config.json").open("a") as file:
            file.write(change)
        versions.append(build_models(settings(model=str(tmp_path / name))).version())
    assert versions[0] == version != versions[1]


def test_labels(server) -> None:
    assert server.get("/model/labels").json() == {"count": 1, "labels": [{"id": 1, "name": "nucleus"}]}


def test_few_models_stay_in_memory(settings, model_folder, tmp_path, monkeypatch) -> None:
    import shutil

    for name in ("a", "b"):
        shutil.copytree(model_folder, tmp_path / "models" / name)
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    loaded = []
    models = build_models(settings(loaded_models=2), lambda folder, precision: loaded.append(folder.name) or object())
    first = models.predictor()
    assert models.predictor() is first
    for name in ("a", "b", "a", None):
        models.predictor(name)
    assert loaded == ["fake", "a", "b", "fake"]


def test_file_names_as_rfc_5987_spells_them(serve, encode) -> None:
    server = serve()
    image = encode(np.zeros((8, 8), np.uint8))
    head = b"--x\r\nContent-Disposition: form-data; name=\"image\"; filename*=UTF-8''%C3%BC.png\r\n\r\n"
    for path, status in (("/model/predict", 200), ("/tasks", 201)):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = server.post(path, data=head + image + b"\r\n--x--\r\n", headers=headers)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("name", ["config.json", "run.json"])
@pytest.mark.parametrize("text", ["null", "[]", "1", "[" * 100_000, "{"])
def test_a_model_that_is_none_is_refused_in_one_line(model_folder, tmp_path, settings, name, text) -> None:
    import shutil

    from nucseg.core.errors import ModelError
    from nucseg.models.bundle import ModelBundle

    folder = shutil.copytree(model_folder, tmp_path / "broken")
    (folder / name).write_text(text)
    with pytest.raises(ModelError, match="not a complete model folder"):
        ModelBundle.load(folder)
    with pytest.raises(ModelError, match="not a complete model folder"):
        build_models(settings(model=str(folder))).metadata()
