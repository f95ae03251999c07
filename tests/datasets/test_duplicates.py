from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.datasets.duplicates import fingerprint, near_duplicate_groups

Draw = Callable[..., tuple[NDArray, NDArray]]


def groups(images: dict[str, NDArray], fields: dict[str, str] | None = None) -> dict[str, str]:
    rows = pd.DataFrame(
        [
            {
                "image_id": name,
                "height": image.shape[0],
                "width": image.shape[1],
                "fingerprint": fingerprint(image),
                "field": (fields or {}).get(name),
            }
            for name, image in images.items()
        ]
    )
    return dict(zip(rows["image_id"], near_duplicate_groups(rows), strict=True))


def fields_of_view(draw: Draw, modality: str = "fluorescence") -> tuple[NDArray, NDArray]:
    """Two fields 192x192, as sharp as optics leave them."""
    images = [draw((192, 192), 30, seed=seed, modality=modality, radius=(9, 14), noise=1)[0] for seed in (1, 2)]
    first, second = (ndimage.gaussian_filter(image, (2, 2, 0)[: image.ndim]) for image in images)
    return first, second


def tiles(field: NDArray, name: str) -> dict[str, NDArray]:
    return {f"{name}{row}{column}": field[row * 96 :, column * 96 :][:96, :96] for row in (0, 1) for column in (0, 1)}


def test_tiles_of_one_field_belong_together(draw_nuclei: Draw) -> None:
    for modality in ("fluorescence", "histology"):
        first, second = fields_of_view(draw_nuclei, modality)

        found = groups(tiles(second, "b") | tiles(first, "a"))

        assert found == {name: f"{name[0]}00" for name in found}


def test_tiles_that_do_not_touch_stay_apart(draw_nuclei: Draw) -> None:
    parts = tiles(fields_of_view(draw_nuclei)[0], "a")

    assert groups({name: parts[name] for name in ("a00", "a11")}) == {"a00": "a00", "a11": "a11"}


def test_dark_borders_say_nothing(draw_nuclei: Draw) -> None:
    images = {name: np.pad(draw_nuclei((80, 80), 10, seed=n)[0], 8) for n, name in enumerate("abcd")}

    assert groups(images) == {name: name for name in images}


def test_copies_belong_together(draw_nuclei: Draw) -> None:
    image, _ = draw_nuclei((96, 96), 10, seed=1)
    other, _ = draw_nuclei((96, 96), 10, seed=2)
    noisy = np.clip(image * 0.6 + np.random.default_rng(0).normal(0, 3, image.shape), 0, 255).astype(np.uint8)

    found = groups({"copy": image, "noisy": noisy, "sixteen": image.astype(np.uint16) * 257, "other": other})

    assert found == {"copy": "copy", "noisy": "copy", "sixteen": "copy", "other": "other"}


def test_the_datasets_word_is_taken(draw_nuclei: Draw) -> None:
    images = {name: draw_nuclei((64 + n, 64), 5, seed=n)[0] for n, name in enumerate("abcd")}

    assert groups(images, {"d": "x", "b": "x"}) == {"a": "a", "b": "b", "c": "c", "d": "b"}


def test_does_not_depend_on_the_order(draw_nuclei: Draw) -> None:
    first, second = fields_of_view(draw_nuclei)
    images = tiles(first, "a") | tiles(second, "b")
    backwards = dict(reversed(images.items()))

    assert groups(images) == groups(backwards)


def test_constant_and_tiny_images_are_nobodys_duplicate() -> None:
    images = {"black": np.zeros((32, 32), np.uint8), "white": np.full((32, 32), 255, np.uint8)}
    images |= {"dot": np.zeros((1, 1), np.uint8), "line": np.zeros((1, 7), np.uint8)}

    assert groups(images) == {name: name for name in images}


def test_one_image() -> None:
    assert groups({"a": np.eye(8, dtype=np.uint8)}) == {"a": "a"}
