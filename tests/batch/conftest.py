"""Runs with a segmenter that takes connected bright pixels for a nucleus."""

import pytest

from nucseg.batch.predict import predict_images
from nucseg.core.validation import checked
from nucseg.images.find import find_images
from nucseg.images.transforms import Normalize
from nucseg.inference.engine import LocalEngine
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.reporting.options import BatchOptions


class Counting(LocalEngine):
    """Counts the images, or the planes of stacks, that are predicted."""

    predicted = 0

    def parts(self, job, skip=frozenset()):
        self.predicted += 1
        return super().parts(job, skip)


@pytest.fixture
def engine():
    return Counting()


@pytest.fixture
def run(tmp_path, bright, engine):
    """Predict images as `nucseg predict` does, into `tmp_path / "out"`."""
    (tmp_path / "model").mkdir()
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),))

    def run(*images, output="out", **options):
        given = checked(BatchOptions, {"scale": 1.0, "precision": "float32", "formats": ("table",), **options})
        found = find_images([str(image) for image in images]).images
        predictor = Predictor(bundle, given)
        return predict_images(found, tmp_path / output, predictor, engine, given, model=tmp_path / "model")

    yield run
    use_precision("float32")
