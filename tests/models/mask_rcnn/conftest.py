import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter
from nucseg.models.precision import use_precision
from trained_once import trained_once


@pytest.fixture(autouse=True)
def _float32():
    use_precision("float32")


@pytest.fixture(scope="session")
def tiny(architectures):
    return MaskRCNNConfig(**architectures["mask_rcnn"])


@pytest.fixture(scope="session")
def trained(tiny, draw_nuclei, tmp_path_factory):
    """A tiny model after some steps on four drawn images: enough to find most nuclei."""

    def train():
        use_precision("float32")
        keras.utils.set_random_seed(0)
        model = MaskRCNNSegmenter(tiny)
        x, y = batch(model, drawn(draw_nuclei, 4))
        model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=5.0))
        history = model.keras_model.fit(x, y, batch_size=4, epochs=150, shuffle=False, verbose=0).history["loss"]

        def save(folder):
            model.save(folder)
            (folder / "history.json").write_text(json.dumps(history))

        return SimpleNamespace(save=save)

    folder = trained_once(tmp_path_factory, "mask_rcnn", train)
    model = MaskRCNNSegmenter.load(folder)
    model.history = json.loads((folder / "history.json").read_text())
    return model


def drawn(draw_nuclei, n, shape=(64, 64), n_nuclei=6):
    pairs = [draw_nuclei(shape, n_nuclei, seed=number) for number in range(n)]
    return [((picture / np.float32(255))[..., None], labels) for picture, labels in pairs]


def batch(model, pairs):
    items = [model.targets(image, labels) for image, labels in pairs]
    return np.stack([x for x, _ in items]), tuple(np.stack(parts) for parts in zip(*(y for _, y in items), strict=True))


@pytest.fixture(scope="session")
def make_batch(draw_nuclei):
    return lambda model, n=2, **options: batch(model, drawn(draw_nuclei, n, **options))


@pytest.fixture(scope="session")
def pairs(draw_nuclei):
    return drawn(draw_nuclei, 4)
