"""What all tests share: synthetic nuclei with known answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import ellipse

from fake_segmenter import FakeSegmenter
from nucseg.core.types import Instances, Sample
from trained_once import trained_once

# Before TensorFlow: Kedro sets up logging as it is imported, and that closes the streams of handlers made earlier,
# of which the one that comes with TensorFlow holds pytest's.
import_module("kedro.framework.project")

# Shared machines are slow at times: a test must not fail for that.
settings.register_profile("nucseg", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nucseg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest file, then those with slow tests to the front: none of them shall be the last to end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_pages.py", item.path not in slow))


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """Undo what the program under test changes in the environment."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


BACKGROUND_AND_NUCLEUS = {
    "fluorescence": (20, 180),
    "brightfield": (210, 90),
    "histology": ((235, 200, 225), (110, 70, 150)),
}


def _draw_nuclei(
    shape: tuple[int, int] = (128, 128),
    n: int = 12,
    seed: int = 0,
    *,
    radius: tuple[float, float] = (5.0, 9.0),
    gap: int = 2,
    modality: str = "fluorescence",
    noise: float = 5.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw exactly `n` elliptic nuclei that do not overlap.

    Args:
        shape: `(H, W)`.
        n: Nuclei; they lie wholly within the image.
        seed: The same seed draws the same picture.
        radius: Least and largest semi-axis in pixels.
        gap: Background pixels between any two nuclei; 0 lets them touch.
        modality: `fluorescence` (grey, dark background), `brightfield` (grey, bright) or `histology` (RGB, bright).
        noise: Standard deviation of the Gaussian noise, in grey values.

    Returns:
        The image, uint8 `(H, W)`, or `(H, W, 3)` of histology, and its label image int32 with labels 1..n in the order
        of drawing.
    """
    generator = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    strength = np.zeros(shape, np.float32)
    number = failures = 0
    while number < n and failures < 1000:
        failures += 1
        semi_axes = generator.uniform(*radius, size=2)
        margin = semi_axes.max() + 1
        if 2 * margin >= min(shape):
            continue
        centre = generator.uniform(margin, np.array(shape) - margin)
        rows, columns = ellipse(*centre, *semi_axes, shape=shape, rotation=generator.uniform(-np.pi, np.pi))
        top, left = max(0, rows.min() - gap), max(0, columns.min() - gap)
        near = np.zeros((rows.max() + gap + 1 - top, columns.max() + gap + 1 - left), bool)
        near[rows - top, columns - left] = True
        near = ndimage.binary_dilation(near, np.ones((3, 3)), iterations=gap) if gap else near
        window = labels[top : top + near.shape[0], left : left + near.shape[1]]
        if window[near[: window.shape[0], : window.shape[1]]].any():
            continue
        number, failures = number + 1, 0
        labels[rows, columns] = number
        strength[rows, columns] = generator.uniform(0.6, 1.0)
    if number < n:
        raise ValueError(f"{n} nuclei of radius {radius} do not fit into {shape}")
    strength = ndimage.gaussian_filter(strength, 0.7)
    background, nucleus = (np.array(value, np.float32) for value in BACKGROUND_AND_NUCLEUS[modality])
    if modality == "histology":
        strength = strength[..., None]
    clean = background + strength * (nucleus - background)
    image = clean + generator.normal(0, noise, clean.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="session")
def draw_nuclei() -> Callable[..., tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Return the function that draws nuclei; of session scope, so that hypothesis tests can take it."""
    return _draw_nuclei


@pytest.fixture(scope="session")
def small_stardist(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a small StarDist of one channel that finds drawn nuclei in `image / 255`; not to be changed."""
    from nucseg.models.stardist.model import StarDist

    return StarDist.load(trained_once(tmp_path_factory, "small_stardist", _train_stardist))


def _train_stardist() -> Any:
    import keras

    from nucseg.models.stardist.config import StarDistConfig
    from nucseg.models.stardist.model import StarDist

    keras.utils.set_random_seed(0)
    config = StarDistConfig(in_channels=1, n_rays=16, unet_n_depth=2, unet_n_filter_base=8, net_conv_after_unet=32)
    model = StarDist(config)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, 150)))
    for step in range(150):
        items = []
        for place in range(8):
            image, labels = _draw_nuclei((64, 64), 6, seed=8 * step + place, gap=1)
            items.append(model.targets(image[..., None] / np.float32(255), labels))
        images, targets = zip(*items, strict=True)
        model.keras_model.train_on_batch(np.stack(images), tuple(np.stack(part) for part in zip(*targets, strict=True)))
    return model


def _bright_parts(image: NDArray[np.float32]) -> Instances:
    labels = ndimage.label(image[..., 0] > 0.3)[0]
    areas = np.bincount(labels.ravel())[1:]
    return Instances(labels.astype(np.int32), (1 - 1 / (1 + areas)).astype(np.float32))


def _bright(halo: int = 24) -> FakeSegmenter:
    return FakeSegmenter(_bright_parts, stride=8, halo=halo, max_side=1536)


@pytest.fixture(scope="session")
def bright() -> Callable[..., FakeSegmenter]:
    """Return what creates a segmenter that takes connected bright pixels for a nucleus; its argument is the halo."""
    return _bright


def _make_sample(image_path: Path = Path("image.tif"), label_path: Path = Path("labels.tif"), **facts: Any) -> Sample:
    usual: dict[str, Any] = {
        "image_id": "1",
        "dataset": "drawn",
        "split": "test",
        "modality": "fluorescence",
        "magnification": None,
        "test_class": None,
        "height": 64,
        "width": 64,
        "channels": 1,
        "n_nuclei": 6,
        "median_diameter_px": 12.0,
    }
    return Sample(**usual | facts, image_path=image_path, label_path=label_path)


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Sample]:
    """Return the function that makes a row of the manifest; what a test does not care about is as usual."""
    return _make_sample


@pytest.fixture(scope="session")
def architectures() -> dict[str, dict[str, Any]]:
    """Return the architecture of each kind that is the smallest to learn something."""
    network = {"filters": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "pyramid_channels": 16}
    heads = {"box_units": 32, "mask_convolutions": 1, "mask_channels": 16, "max_nuclei": 32}
    found = {"before_nms": 300, "proposals": 100}
    drawn = {"training_before_nms": 128, "training_proposals": 64, "positive_rois": 16, "negative_rois": 16}
    return {
        "stardist": {
            "in_channels": 1,
            "n_rays": 8,
            "unet_n_depth": 1,
            "unet_n_filter_base": 8,
            "net_conv_after_unet": 8,
        },
        "mask_rcnn": {"in_channels": 1, **network, **heads, **found, **drawn},
    }


@pytest.fixture(scope="session")
def printed_alone() -> Callable[[str], list[str]]:
    """Return the function that runs a program in a Python of its own, and its words in the last line of the output."""

    def run(program: str) -> list[str]:
        answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        return (answer.stdout.splitlines() or [""])[-1].split()

    return run


@pytest.fixture
def recording_mlflow(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Switch logging to MLflow on, which only records the calls: MLflow is not among the locked packages."""
    mlflow = MagicMock()
    mlflow.exceptions.MlflowException = type("MlflowException", (Exception,), {})
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    return mlflow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium; without it the tests are skipped, and with NUCSEG_REQUIRE=chromium, as CI sets it, they fail.

    Of a module, not of the session: while it runs, no other event loop does in this thread.
    """
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        (pytest.fail if "chromium" in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip)("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
