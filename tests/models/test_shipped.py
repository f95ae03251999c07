"""The models that come with the clone: how large they are, what they find, and that they find nothing in nothing."""

import hashlib
import json
import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from scipy.ndimage import find_objects, gaussian_filter, label, maximum
from skimage.data import immunohistochemistry
from skimage.transform import rescale
from stardist.data import test_image_he_2d as real_tissue
from stardist.data import test_image_nuclei_2d as real_image
from stardist.matching import matching

from nucseg.core.errors import ConfigError, ModelError
from nucseg.datasets.drawn_marks.draw import draw_marks
from nucseg.images.io import read_image, read_labels
from nucseg.images.planes import STAINS
from nucseg.images.source import array_source
from nucseg.images.stains import stained
from nucseg.inference.engine import LocalEngine
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.inference.tiled import predict_tiled
from nucseg.masks.labels import make_whole
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.shipped import trained_or_shipped, unpack

ROOT = Path(__file__).parents[2]
ALL = sorted(pointer.stem for pointer in (ROOT / "data/06_models").glob("*.dvc"))
SHIPPED = ["mask_rcnn", "stardist"]
"""Those that find nuclei."""
LARGEST_MB = {"stardist": 8, "mask_rcnn": 25, "mitosis": 8, "unet": 8, "marks": 8}
# Real images of ablation marks are not part of the project either.
MARKS = Path(os.environ.get("NUCSEG_MARKS", ROOT.parent / "shared/data/ablation-marks"))
# The pictures of S-BSST265 are not part of the project: a folder of them may be named.
SBSST265 = Path(os.environ.get("NUCSEG_SBSST265", ROOT.parent / "shared/data/S-BSST265/rawimages"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the shipped models into a folder of their own: a model trained in this checkout is not meant."""
    folder = tmp_path_factory.mktemp("models")
    for name in ALL:
        unpack(ROOT / f"data/06_models/{name}.dvc", folder / name)
    return folder


@pytest.fixture(scope="module", params=SHIPPED)
def predictor(request: pytest.FixtureRequest, models: Path) -> Predictor:
    return Predictor.load(models / request.param)


def put_version(root: Path, **files: str) -> Path:
    """Put a version of the model `toy` into the bundled store of a checkout and point to it, as DVC does."""

    def store(content: str, suffix: str = "") -> str:
        digest = hashlib.md5(content.encode()).hexdigest()
        file = root / "dvc-store/files/md5" / digest[:2] / f"{digest[2:]}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return digest

    listed = [{"md5": store(content), "relpath": f"{name}.json"} for name, content in files.items()]
    digest = store(json.dumps(listed), ".dir")
    pointer = root / "data/06_models/toy.dvc"
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.write_text(f"outs:\n- md5: {digest}.dir\n  size: 1\n  hash: md5\n  path: toy\n")
    return pointer


def test_the_version_of_the_pointer_is_unpacked_once(tmp_path):
    folder = tmp_path / "data/06_models/toy"
    assert trained_or_shipped(folder) is None
    put_version(tmp_path, config="{}", run="first")
    first = trained_or_shipped(folder)
    assert {file.name: file.read_text() for file in first.iterdir()} == {"config.json": "{}", "run.json": "first"}
    assert first.name == "toy"
    assert trained_or_shipped(folder) == first
    assert not folder.exists()

    put_version(tmp_path, config="{}", run="second")
    assert (trained_or_shipped(folder) / "run.json").read_text() == "second"
    assert (first / "run.json").read_text() == "first"

    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert trained_or_shipped(folder) == folder


def test_a_checkout_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setenv("NUCSEG_CACHE", str(tmp_path / "cache"))
    pointer = put_version(tmp_path, config="{}")
    (pointer.parent / ".shipped").touch()
    found = trained_or_shipped(pointer.with_suffix(""))
    assert found.is_relative_to(tmp_path / "cache/models")
    assert (found / "config.json").read_text() == "{}"


def test_a_damaged_store_is_refused(tmp_path):
    pointer = put_version(tmp_path, config="{}", run="first")
    digest = hashlib.md5(b"first").hexdigest()
    file = tmp_path / "dvc-store/files/md5" / digest[:2] / digest[2:]
    file.write_text("other")
    with pytest.raises(ModelError, match=r"damaged.*toy.*git checkout -- dvc-store"):
        trained_or_shipped(pointer.with_suffix(""))
    file.unlink()
    with pytest.raises(ModelError, match=r"cannot be read.*git checkout -- dvc-store"):
        trained_or_shipped(pointer.with_suffix(""))
    assert [path for path in (pointer.parent / ".shipped").rglob("*") if path.is_file()] == []


def test_a_version_that_is_elsewhere_is_none(tmp_path):
    pointer = put_version(tmp_path, config="{}")
    pointer.write_text(f"outs:\n- md5: {'0' * 32}.dir\n")
    assert trained_or_shipped(pointer.with_suffix("")) is None


def test_there_are_some():
    assert SHIPPED == ["mask_rcnn", "stardist"]


@pytest.mark.parametrize("name", ALL)
def test_they_are_small(models, name):
    assert sum(file.stat().st_size for file in (models / name).iterdir()) <= LARGEST_MB[name] * 1e6


@pytest.mark.parametrize("name", SHIPPED)
def test_no_test_image_took_part_in_the_training(predictor, name):
    assert set(predictor.bundle.run.splits) == {"train", "val"}


def empty_images() -> dict[str, np.ndarray]:
    """Draw fields without nuclei, none of them in the way of the training's."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:300, 0:260]
    vignette = np.exp(-((y - 150) ** 2 + (x - 130) ** 2) / 2 / 150**2)
    fibres = sum(
        np.sin((x * np.cos(angle) + y * np.sin(angle)) / period + 8 * gaussian_filter(rng.normal(size=x.shape), 25))
        for angle, period in ((0.4, 2.0), (0.6, 3.1), (0.5, 5.3))
    )
    eosin = np.array([225, 150, 190]) + 12 * fibres[..., None] + rng.normal(0, 4, (300, 260, 3))
    return {
        "black": np.zeros((256, 256), np.uint8),
        "white": np.full((256, 320, 3), 255, np.uint8),
        "grey, 16 bit": np.full((200, 200), 1234, np.uint16),
        "camera noise": rng.normal(200, 6, (300, 300)).clip(0, 4095).astype(np.uint16),
        "photon noise": rng.poisson(3, (256, 256)).astype(np.uint8),
        "coloured noise": rng.integers(0, 256, (256, 256, 3)).astype(np.uint8),
        "slope": np.linspace(0, 60000, 512 * 512).reshape(512, 512).astype(np.uint16),
        "vignette": (200 * vignette + rng.normal(0, 3, vignette.shape)).clip(0, 255).astype(np.uint8),
        "stroma": eosin.clip(0, 255).astype(np.uint8),
    }


@pytest.mark.parametrize("kind", empty_images())
def test_nothing_is_found_where_there_is_nothing(predictor, kind):
    assert len(predictor.predict(empty_images()[kind])) == 0


def unstained_images() -> dict[str, np.ndarray]:
    """Draw fields in colour without nuclei."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:300, 0:260]
    pink = np.array([235, 170, 205]) + 15 * (np.sin(x / 40) * np.cos(y / 60))[..., None]
    drawn = {"smooth stroma": pink + rng.normal(0, 2, pink.shape), "dim glass": rng.normal(245, 3, (256, 256, 3))}
    return {kind: empty_images()[kind] for kind in ("white", "coloured noise", "stroma")} | {
        kind: image.clip(0, 255).astype(np.uint8) for kind, image in drawn.items()
    }


@pytest.mark.parametrize("kind", unstained_images())
def test_no_stain_is_taken_for_nuclei_where_there_are_none(predictor, kind):
    for stain in STAINS:
        assert len(predictor.predict_source(stained(array_source(unstained_images()[kind]), stain))) == 0


def test_nuclei_beside_a_brown_stain_are_found_by_their_haematoxylin(predictor):
    image = immunohistochemistry()[240:400, 200:360]
    source = stained(array_source(image), "hematoxylin")
    found = predictor.predict_source(source)
    assert len(found) > 1.5 * len(predictor.predict(image))
    assert len(found) > 20
    tiled = predict_tiled(predictor.job(source, predictor.options.changed(tile=96)), LocalEngine())
    assert len(tiled) == pytest.approx(len(found), abs=1)


def test_nuclei_of_a_real_image_are_found_at_any_size(predictor):
    image, labels = (pixels[:256, :256] for pixels in real_image(return_mask=True))
    scores = {}
    for factor in (1, 2, 4):
        part = rescale(image, factor, order=3, preserve_range=True).astype(np.uint16)
        truth = np.kron(labels, np.ones((factor, factor), np.int32))
        scores[factor] = matching(truth, predictor.predict(part).labels, thresh=0.5).f1
    assert scores[1] > 0.8
    # At a wrong scale nearly all are lost; a part of one image says no more than this.
    assert min(scores[2], scores[4]) > scores[1] - 0.15


def test_nuclei_of_two_sizes_are_found_in_one_image(predictor):
    """Beside the real image lie its own nuclei, enlarged four times: 24 pixels beside 96."""
    image, part, factor = real_image(), np.s_[128:384, 128:384], 4
    small = predictor.predict(image).labels
    large = np.kron(small[part], np.ones((factor, factor), int))[:1000, :512]
    enlarged = rescale(image[part].astype(float), factor, order=3, preserve_range=True)[:1000, :512]
    picture = np.concatenate([np.concatenate([image, image[::-1]])[:1000], enlarged], 1).astype(image.dtype)
    wide = np.pad(picture, ((0, 200), (0, 200)), mode="reflect")
    for given, tile in [(picture, None), (wide, None), (picture, 512), (picture, 320)]:
        found = predictor.predict(given, predictor.options.changed(tile=tile)).labels
        for truth, there, share in [(small, found[:512, :512], 0.9), (large, found[:1000, 512:1024], 0.8)]:
            areas = np.bincount(truth.ravel())
            rests = np.flatnonzero(areas < np.median(areas[areas > 0]) / 4)  # of nuclei that are cut off
            assert matching(np.where(np.isin(truth, rests), 0, truth), there, thresh=0.5).recall >= share
    every = predictor.predict(picture)
    few = predictor.predict(picture, predictor.options.changed(score_threshold=0.9))
    np.testing.assert_array_equal(few.labels, every.above(0.9).labels)


def field() -> np.ndarray:
    """Cut a part out of the real image, stretched to 8 bits as microscopes export it."""
    image = real_image()[:256, :256].astype(float)
    low, high = image.min(), np.percentile(image, 99.9)
    return ((image - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)


def test_a_large_field_shows_as_many_nuclei_as_its_parts(predictor):
    """Nine times the image with nine times the nuclei, which is one tile of either model's.

    Fewer by those that the border cuts: they join with their mirror images.
    """
    image = real_image()
    row = np.concatenate([image, image[:, ::-1], image], axis=1)
    large = np.concatenate([row, row[::-1], row])
    assert max(large.shape) <= predictor.bundle.model.max_side
    assert len(predictor.predict(large)) > 0.93 * 9 * len(predictor.predict(image))


@pytest.mark.slow
@pytest.mark.parametrize("colour", [(0, 0, 1), (0, 1, 1), (1, 0.5, 0)], ids=["blue", "cyan", "orange"])
def test_one_stain_in_false_colour_has_the_nuclei_of_its_grey_image(predictor, colour):
    grey = len(predictor.predict(field()))
    assert grey > 20
    coloured = np.rint(field()[..., None] * np.array(colour)).astype(np.uint8)
    jpeg = imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(coloured, level=95))
    deep = np.rint(field()[..., None] * 257.0 * np.array(colour)).astype(np.uint16)
    assert [len(predictor.predict(image)) for image in (coloured, deep)] == pytest.approx([grey] * 2, rel=0.05)
    assert len(predictor.predict(jpeg)) == pytest.approx(grey, rel=0.1)  # a few nuclei of few


@pytest.mark.slow
@pytest.mark.parametrize("value, channels", [(0, 1), (65535, 3)])
def test_the_surroundings_of_a_scan_change_nothing(predictor, value, channels):
    image = real_image()[:256, :256]
    canvas = np.full((700, 740), value, image.dtype)
    canvas[201:457, 237:493] = image
    if channels == 3:
        canvas = np.dstack([0 * canvas, 0 * canvas, canvas])
    alone = len(predictor.predict(image))
    # Nuclei that the border cuts are now seen with something beside them.
    assert len(predictor.predict(canvas)) == pytest.approx(alone, rel=0.2)
    tiled = predict_tiled(predictor.job(array_source(canvas), predictor.options.changed(tile=256)), LocalEngine())
    assert len(tiled) == pytest.approx(alone, rel=0.2)


def test_each_nucleus_is_one_piece_without_holes(predictor):
    image = real_tissue()[:256, :256]
    found = predictor.predict(image)
    tiled = predict_tiled(predictor.job(array_source(image), predictor.options.changed(tile=96)), LocalEngine())
    for labels in (found.labels, tiled.instances().labels):
        assert labels.max() > 50
        for number, window in enumerate(find_objects(labels), start=1):
            assert label(labels[window] == number)[1] == 1
        assert np.array_equal(make_whole(labels), labels)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", SHIPPED)
def test_no_seam_shows_in_a_real_image(models, name, precision):
    try:
        use_precision(precision)
    except ConfigError as error:
        pytest.skip(str(error))
    predictor = Predictor.load(models / name, PredictOptions(scale=1.0, precision=precision))
    image = real_image()
    try:
        whole = predictor.predict(image)
        job = predictor.job(array_source(image), predictor.options.changed(tile=192))
        assert len(job.grid) in (2 * 2, 3 * 3)  # no tile is smaller than its halo
        tiled = predict_tiled(job, LocalEngine()).instances()
    finally:
        use_precision("auto")
    assert len(whole) > 100
    assert matching(whole.labels, tiled.labels, thresh=0.9).f1 >= 0.99
    if name == "stardist" and predictor.precision == "float32":
        pairs = np.unique(np.stack([whole.labels.ravel(), tiled.labels.ravel()]), axis=1)
        assert pairs.shape[1] == len(whole) + 1 == len(tiled) + 1  # the same nuclei to the pixel, and background


@pytest.mark.skipif(not SBSST265.is_dir(), reason="NUCSEG_SBSST265 names no folder with raw images of S-BSST265")
# Ganglioneuroblastoma_4 has some 400 nuclei, counting dim ones: of 423 outlines looked at, about a dozen were specks.
@pytest.mark.parametrize(
    "name, least, most", [("normal_0", 18, 32), ("normal_21", 38, 44), ("Ganglioneuroblastoma_4", 280, 440)]
)
def test_nuclei_of_other_magnifications_are_found(predictor, name, least, most):
    file = next(SBSST265.glob(f"{name}.tif*"))
    if predictor.bundle.name == "mask_rcnn":  # misses a few more
        least = 5 * least // 6
    assert least <= len(predictor.predict(read_image(file))) <= most


def test_the_classifier_of_mitoses(models):
    bundle = ModelBundle.load(models / "mitosis")
    blank = [np.full((64, 64, 3), level, np.uint8) for level in (0, 128, 255)]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert (bundle.model.classify(np.stack([*blank, noise])) < bundle.model.thresholds["probability"]).all()
    seen = bundle.run.images_seen()
    assert set(seen) == {"train", "val"}
    assert not seen["train"] & seen["val"]
    scores = bundle.run.validation.scores["by_test_class"]
    assert min(scores[part]["average_precision"] for part in ("TUPAC16", "MIDOG21")) > 0.97


def test_the_pixels_of_nuclei(models):
    bundle = ModelBundle.load(models / "unet")
    assert bundle.model.classes == ("background", "nucleus")
    image, truth = (
        read_image(ROOT / "samples/fluorescence.tif"),
        read_labels(ROOT / "samples/fluorescence_labels.tif") > 0,
    )
    found = SemanticPredictor(bundle, PredictOptions(scale=1)).predict(image).classes
    assert (found[truth] == 1).mean() > 0.9
    assert (found[~truth] == 0).mean() > 0.97
    blank = np.full((96, 96), 70, np.uint8)
    assert not SemanticPredictor(bundle, PredictOptions(scale=1)).predict(blank).classes.any()
    seen = bundle.run.images_seen()
    assert not seen["train"] & seen["val"]


def test_the_pixels_of_ablation_marks(models):
    bundle = ModelBundle.load(models / "marks")
    assert bundle.model.classes == ("background", "mark")
    predictor = SemanticPredictor(bundle, PredictOptions(scale=1))
    touched = total = 0
    for seed in range(5001, 5009):  # drawn images that the training did not see; a few hide their marks in the ground
        image, mask = draw_marks(seed, 256, 256)
        found = predictor.predict(image).classes == 1
        marks, n_marks = label(mask, np.ones((3, 3)))
        touched += np.count_nonzero(maximum(found, marks, np.arange(1, n_marks + 1)))
        total += n_marks
    assert total > 60
    assert touched >= 0.8 * total


@pytest.mark.skipif(not MARKS.is_dir(), reason="NUCSEG_MARKS names no folder with real images of ablation marks")
@pytest.mark.parametrize("name", ["013", "source_small"])
def test_the_marks_of_real_tiles(models, name):
    predictor = SemanticPredictor(ModelBundle.load(models / "marks"), PredictOptions(scale=1))
    found = predictor.predict(read_image(MARKS / f"tiles/{name}.png")).classes == 1
    truth = read_image(MARKS / f"tiles/{name}.mask-semiauto.png") > 127
    marks, n_marks = label(truth, np.ones((3, 3)))
    sizes = np.bincount(marks.ravel())[1:]
    touched = np.asarray(maximum(found, marks, np.arange(1, n_marks + 1)))[sizes >= 10]
    assert touched.mean() >= 0.95
