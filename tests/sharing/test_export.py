"""`nucseg export`: the network in another program computes what the model computes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from stardist.geometry import dist_to_coord

from nucseg.models.bundle import ModelBundle
from nucseg.models.stardist.model import suppress

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
tf2onnx = pytest.importorskip("tf2onnx", reason="the extra export is not installed")


def run_onnx(file: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


@pytest.mark.parametrize("name", ["unet", "lite"])
def test_onnx_of_stardist(name: str, export: Any, models: Path, tmp_path: Path, described: Any) -> None:
    ended = export(name, "--to", "onnx")
    assert ended.exit_code == 0, ended.output
    model = ModelBundle.load(models / name).model
    # Of another size than the images of the check.
    images = np.random.default_rng(1).random((3, 5 * model.stride, 2 * model.stride, model.in_channels), np.float32)
    got = run_onnx(tmp_path / f"{name}-onnx/model.onnx", images)
    about = described(f"{name}-onnx")
    assert [output["name"] for output in about["outputs"]] == ["prob", "dist", "foreground"]
    probability, distances, foreground = model.network([images])
    np.testing.assert_allclose(got["prob"], probability, atol=1e-3)
    np.testing.assert_allclose(got["dist"], np.maximum(distances, 1e-3), atol=1e-3)
    np.testing.assert_allclose(got["foreground"], foreground, atol=1e-3)
    assert about["input"] == {
        "name": "image",
        "dtype": "float32",
        "axes": ["batch", "y", "x", "channel"],
        "channels": model.in_channels,
        "multiple": model.stride,
        "side": None,
    }
    assert about["thresholds"] == model.thresholds
    readme = (tmp_path / f"{name}-onnx/README.md").read_text()
    over = "all channels together" if name == "unet" else "each channel"
    assert f"percentiles 1 and 99.8 of {over} of the whole image" in readme
    assert f"at least {model.thresholds['score']:g}" in readme
    assert ("| `f1_50` | 0.875 |" in readme) == (name == "unet")
    assert ("No scores on validation images are recorded" in readme) == (name == "lite")


def test_decoding_as_the_readme_says_finds_the_models_polygons(
    export: Any, models: Path, tmp_path: Path, draw_nuclei: Any
) -> None:
    export("unet", "--to", "onnx")
    model = ModelBundle.load(models / "unet").model
    image = draw_nuclei((96, 96), 8, seed=3)[0][..., None] / np.float32(255)
    found = run_onnx(tmp_path / "unet-onnx/model.onnx", image[None])
    cells = np.argwhere(found["prob"][0, ..., 0] >= model.thresholds["score"])
    polygons = suppress(model.propose([image], model.thresholds)[0], model.thresholds["nms"])
    assert len(polygons.scores) >= 6
    wanted = dist_to_coord(polygons.distances, polygons.points)
    for point, corners in zip(polygons.points, wanted, strict=True):
        assert (point // model.config.grid).tolist() in cells.tolist()
        rays = found["dist"][0, point[0] // model.config.grid, point[1] // model.config.grid]
        angles = 2 * np.pi * np.arange(len(rays)) / len(rays)
        np.testing.assert_allclose(point[:, None] + rays * [np.sin(angles), np.cos(angles)], corners, atol=1e-2)


def test_onnx_of_a_patch_classifier(export: Any, models: Path, tmp_path: Path) -> None:
    assert export("patches", "--to", "onnx").exit_code == 0
    model = ModelBundle.load(models / "patches").model
    patches = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    got = run_onnx(tmp_path / "patches-onnx/model.onnx", patches)["probability"]
    np.testing.assert_allclose(got[:, 0], expit(model.logits(patches) / 2.0), atol=1e-3)
    assert "at least 0.25 is of the class mitosis" in (tmp_path / "patches-onnx/README.md").read_text()


def test_onnx_of_a_model_of_pixels(export: Any, models: Path, tmp_path: Path) -> None:
    ended = export("pixels", "--to", "onnx")
    assert ended.exit_code == 0, ended.output
    model = ModelBundle.load(models / "pixels").model
    images = np.random.default_rng(1).random((2, 3 * model.stride, 2 * model.stride, 1), np.float32)
    got = run_onnx(tmp_path / "pixels-onnx/model.onnx", images)["probability"]
    np.testing.assert_allclose(got, np.stack(model.probabilities(list(images))), atol=1e-3)
    readme = (tmp_path / "pixels-onnx/README.md").read_text()
    assert "0 background, 1 nucleus" in readme
    assert "no nuclei" not in readme


@pytest.mark.slow
def test_onnx_of_mask_rcnn_has_a_fixed_side(export: Any, models: Path, tmp_path: Path) -> None:
    side = 2 * ModelBundle.load(models / "mask_rcnn").model.stride
    ended = export("mask_rcnn", "--to", "onnx", "--side", str(side))
    assert ended.exit_code == 0, ended.output
    model = ModelBundle.load(models / "mask_rcnn").model
    images = np.random.default_rng(1).random((1, side, side, 1), np.float32)
    got = run_onnx(tmp_path / "mask_rcnn-onnx/model.onnx", images)
    features, proposals = model._proposals(images[0])
    boxes, scores, _ = model._refined(features, proposals, (side, side))
    assert 3 < len(boxes) < got["boxes"].shape[1]
    np.testing.assert_allclose(got["scores"][0, : len(boxes)], scores, atol=1e-3)
    np.testing.assert_allclose(got["boxes"][0, : len(boxes)], boxes, atol=1e-2)
    assert (got["scores"][0, len(boxes) :] == -1).all()
    assert got["masks"].shape == (*got["scores"].shape, 28, 28)


def test_saved_model(export: Any, models: Path, tmp_path: Path) -> None:
    assert export("unet", "--to", "savedmodel", "--out", "served").exit_code == 0
    model = ModelBundle.load(models / "unet").model
    images = np.random.default_rng(1).random((2, 3 * model.stride, model.stride, 1), np.float32)
    served = tf.saved_model.load(str(tmp_path / "served"))
    wanted = model.network([images])
    np.testing.assert_allclose(served.serve(images)["prob"], wanted[0], atol=1e-3)
    np.testing.assert_allclose(
        served.signatures["serving_default"](image=tf.constant(images))["foreground"], wanted[2], atol=1e-3
    )
    assert (tmp_path / "served/README.md").is_file()


def test_an_output_with_an_axis_too_many_is_converted_once_more(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tf2onnx import convert

    from nucseg.core.errors import ModelError
    from nucseg.sharing.graph import graph_of
    from nucseg.sharing.onnx_file import write_onnx

    graph = graph_of(ModelBundle.load(models / "patches"))
    converted, calls = convert.from_function, []

    def wrong_at_first(function: Any, **given: Any) -> Any:
        calls.append(function)
        if len(calls) <= wrong:
            function = tf.function(
                lambda images: {name: each[None] for name, each in graph.run(images).items()},
                input_signature=given["input_signature"],
            )
        return converted(function, **given)

    monkeypatch.setattr(convert, "from_function", wrong_at_first)
    wrong = 1
    write_onnx(graph, tmp_path / "model.onnx")
    assert len(calls) == 2
    assert "so it is not kept" in caplog.text
    images = np.zeros((2, 32, 32, 3), np.uint8)
    (probabilities,) = run_onnx(tmp_path / "model.onnx", images).values()
    assert len(probabilities) == 2
    calls.clear()
    wrong = 2
    with pytest.raises(ModelError, match=r"has the shape .*, in Keras .*, so it is not kept"):
        write_onnx(graph, tmp_path / "model.onnx")


def test_a_file_that_differs_is_not_kept(export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert = tf2onnx.convert.from_function

    def off_by_a_hundredth(function: Any, input_signature: Any, **options: Any) -> None:
        wrong = tf.function(
            lambda image: {name: each + 0.01 for name, each in function(image).items()}, input_signature
        )
        convert(wrong, input_signature=input_signature, **options)

    monkeypatch.setattr(tf2onnx.convert, "from_function", off_by_a_hundredth)
    ended = export("unet", "--to", "onnx")
    assert ended.exit_code == 1
    assert "its output prob differs from Keras by 0.01, where 0.001 is allowed" in " ".join(ended.output.split())
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_line(export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    for arguments, said in (
        (("unet", "--to", "hdf5"), "--to: 'hdf5' is unknown; allowed are onnx, savedmodel, stardist, bioimageio"),
        (("unet", "--to", "onnx", "--out", "there"), "--out: there exists"),
        (("unet", "--to", "bioimageio", "--out", "model"), "--out: model must end in .zip"),
        (("none", "--to", "onnx"), "model 'none'"),
        (("unet", "--to", "onnx", "--side", "64"), "--side: unet takes images of any size"),
        (("mask_rcnn", "--to", "onnx", "--side", "70"), "--side: 70 is not a multiple of"),
        (("lite", "--to", "stardist"), "its backbone is efficientnet_lite0"),
        (("patches", "--to", "stardist"), "is a patch_classifier model"),
        (
            ("pixels", "--to", "bioimageio", "--author", "A", "--license", "MIT"),
            "a unet model is not written as a package",
        ),
        (("mask_rcnn", "--to", "bioimageio", "--author", "A", "--license", "MIT"), "turns boxes and masks into nuclei"),
        (("unet", "--to", "bioimageio", "--author", "A"), "--author and --license"),
    ):
        ended = export(*arguments)
        assert ended.exit_code == 1, arguments
        assert said in ended.output
        assert len([line for line in ended.output.splitlines() if line.startswith("Error")]) == 1
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    assert "pip install 'nucseg[export]'" in export("unet", "--to", "onnx").output
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
