import numpy as np
import pytest

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.types import VOID
from nucseg.images.io import write_image, write_labels
from nucseg.images.preprocessing import Preprocessor
from nucseg.training.class_maps import ClassPatches
from nucseg.training.config import SemanticSamplingConfig

AUGMENTED = AugmentationConfig.model_validate(
    {
        "transforms": [
            {"name": "affine", "p": 1, "scale": [0.5, 2.0], "rotate": [-180, 180]},
            {"name": "elastic", "p": 1, "displacement": 1.5, "smoothness": 8.0},
            {"name": "noise", "p": 1},
        ]
    }
)


@pytest.fixture
def patches(tmp_path, make_sample):
    """Class 7 is one pixel; the image shows ten times the class."""
    classes = np.zeros((60, 70), np.uint8)
    classes[:, 30:50], classes[45, 10], classes[:, 64:] = 3, 7, VOID
    write_image(tmp_path / "i.tif", (10 * np.minimum(classes, 20)).astype(np.uint8))
    write_labels(tmp_path / "l.tif", classes)
    sample = make_sample(tmp_path / "i.tif", tmp_path / "l.tif", n_nuclei=None, median_diameter_px=None)

    def make(probability, augmentation=None):
        augmenter = augmentation and Augmenter.from_config(augmentation)
        sampling = SemanticSamplingConfig(class_probability=probability)
        return ClassPatches([sample], Preprocessor((), 1), augmenter, 16, 16, sampling)

    return make


def test_a_patch_is_cut_out_of_image_and_class_map(patches):
    for number in range(20):
        image, classes = patches(0).anywhere(0, np.random.default_rng(number))
        assert image.shape == (16, 16, 1)
        np.testing.assert_allclose(image[..., 0], 10 * np.minimum(classes, 20) / 255, atol=1e-6)


def test_rare_classes_are_looked_for(patches):
    source = patches(1)
    drawn = [source.draw(np.random.default_rng(number))[1] for number in range(60)]
    assert all(np.isin([3, 7], each).any() for each in drawn)
    assert 15 < sum((each == 7).any() for each in drawn) < 45


def test_classes_are_never_renumbered_or_mixed(patches):
    source = patches(0.5, AUGMENTED)
    seen = {int(value) for n in range(40) for value in np.unique(source.draw(np.random.default_rng(n))[1])}
    assert {0, 3, VOID} <= seen <= {0, 3, 7, VOID}


def test_of_an_image_that_is_nearly_void_patches_show_what_is_not(tmp_path, make_sample):
    classes = np.full((400, 400), VOID, np.uint8)
    classes[300:310, 50:60] = 0
    write_image(tmp_path / "i.tif", np.zeros((400, 400), np.uint8))
    write_labels(tmp_path / "l.tif", classes)
    sample = make_sample(tmp_path / "i.tif", tmp_path / "l.tif", n_nuclei=None)
    source = ClassPatches([sample], Preprocessor((), 1), None, 32, 16, SemanticSamplingConfig())
    for number in range(20):
        assert (source.anywhere(0, np.random.default_rng(number))[1] == 0).any()
        assert (source.draw(np.random.default_rng(number))[1] == 0).any()


def test_a_patch_larger_than_the_image_is_mirrored(tmp_path, make_sample):
    write_image(tmp_path / "i.tif", np.full((1, 1), 50, np.uint8))
    write_labels(tmp_path / "l.tif", np.ones((1, 1), np.uint8))
    sample = make_sample(tmp_path / "i.tif", tmp_path / "l.tif", n_nuclei=None)
    source = ClassPatches([sample], Preprocessor((), 1), None, 32, 16, SemanticSamplingConfig())
    image, classes = source.draw(np.random.default_rng(0))
    assert image.shape == (32, 32, 1)
    assert (classes == 1).all()
