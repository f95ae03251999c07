from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.inference.call import predict_image
from nucseg.napari_plugin.find import find_nuclei, segmenters


def test_nuclei_of_a_plane_become_labels_with_scores(tiny: str, layer: Callable, draw_nuclei: Callable) -> None:
    image = draw_nuclei((96, 96), 8, seed=3)[0]
    stack = np.zeros((2, 3, 96, 96), np.uint8)
    stack[1, 2] = image
    labels, about, kind = find_nuclei(layer(stack, scale=(1, 1, 0.5, 0.25)), tiny, "1,2")
    found = predict_image(image, tiny, {})[0]
    assert kind == "labels"
    assert len(found) >= 6
    np.testing.assert_array_equal(labels[1, 2], found.labels)
    assert np.count_nonzero(labels) == np.count_nonzero(found.labels)
    assert about["features"]["index"].tolist() == list(range(1, len(found) + 1))
    np.testing.assert_array_equal(about["features"]["score"], found.scores)
    assert about["scale"] == (1, 1, 0.5, 0.25)
    assert about["metadata"]["model"] == "tiny"
    strict = find_nuclei(layer(image), tiny, threshold=float(np.median(found.scores)))[0]
    assert 0 < strict.max() < len(found)


def test_a_channel_of_a_layer_in_colour(tiny: str, layer: Callable, draw_nuclei: Callable) -> None:
    image = draw_nuclei((96, 96), 8, seed=3)[0]
    colours = np.zeros((96, 96, 4), np.uint8)
    colours[..., 1], colours[..., 3] = image, 255
    labels, about, _ = find_nuclei(layer(colours, rgb=True), tiny, channel="green")
    np.testing.assert_array_equal(labels, predict_image(image, tiny, {})[0].labels)
    assert len(about["scale"]) == labels.ndim == 2
    pyramid = find_nuclei(multiscale(layer, image), tiny)[0]
    np.testing.assert_array_equal(pyramid, labels)


def multiscale(layer: Callable, image: Any) -> Any:
    made = layer(image)
    made.multiscale, made.data = True, [image, image[::2, ::2]]
    return made


@pytest.mark.parametrize(
    "shape, plane, said",
    [
        ((2, 3, 8, 8), "", r"sizes \(2, 3\); give a number for each, such as 0,0"),
        ((2, 3, 8, 8), "1", "give a number for each"),
        ((3, 8, 8), "3", r"beyond its axes of the sizes \(3,\)"),
        ((3, 8, 8), "z", "give a number for each, such as 0"),
        ((8, 8), "0", "leave the plane empty"),
    ],
)
def test_a_plane_that_does_not_fit_is_one_error(layer: Callable, shape: tuple, plane: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_nuclei(layer(np.zeros(shape, np.uint8)), "tiny", plane)


def test_a_grey_layer_has_no_channels(layer: Callable) -> None:
    with pytest.raises(InputError, match="is not in colour, so it has no channel dab; choose all"):
        find_nuclei(layer(np.zeros((8, 8), np.uint8)), "tiny", channel="dab")


def test_a_stain_of_a_layer_in_colour(tiny: str, layer: Callable) -> None:
    image = np.random.default_rng(0).integers(60, 255, (64, 64, 3), dtype=np.uint8)
    labels, _, _ = find_nuclei(layer(image, rgb=True), tiny, channel="hematoxylin")
    np.testing.assert_array_equal(labels, predict_image(image, tiny, {"channel": "hematoxylin"})[0].labels)


def test_only_models_that_find_nuclei_are_offered(tiny: str) -> None:
    assert "tiny" in segmenters()
    assert "mitosis" not in segmenters()
