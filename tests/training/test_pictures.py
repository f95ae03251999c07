import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.summary.summary_iterator import summary_iterator

from nucseg.core.types import Instances
from nucseg.training.pictures import view_nuclei


def events(folder):
    """Return what the event files hold: by tag, the values in the order of the steps."""
    found = {}
    for file in sorted((folder / "validation").glob("events*")):
        for event in summary_iterator(str(file)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def test_each_epoch_has_a_score_and_a_picture_and_the_training_is_the_same(drawn, samples, tmp_path):
    (plain, shown) = (
        drawn.run_training(samples, tmp_path / name, epochs=3, tensorboard_images=count).run.history
        for name, count in (("plain", 0), ("shown", 2))
    )
    for entry, other in zip(plain, shown, strict=True):
        assert other == pytest.approx(entry, rel=1e-5)
    (folder,) = (tmp_path / "shown/tensorboard").iterdir()
    assert [step for step, _ in events(folder)["ap_mean_50_90"]] == [0, 1, 2]
    pictures = events(folder)["first validation image"]
    assert [step for step, _ in pictures] == [0, 1, 2]
    picture = tf.io.decode_png(pictures[0][1][2]).numpy()
    (held_out,) = [sample for sample in samples if sample.split == "val"]
    assert picture.shape == (2 * held_out.height, 2 * held_out.width, 3)  # its nuclei are small: the model sees it so
    (folder,) = (tmp_path / "plain/tensorboard").iterdir()
    assert "ap_mean_50_90" not in events(folder)
    # Whoever looks may change his mind: it is the same training.
    assert [path.name for path in (tmp_path / "plain/checkpoints").iterdir()] == [
        path.name for path in (tmp_path / "shown/checkpoints").iterdir()
    ]


def test_the_picture_shows_the_truth_and_what_is_found():
    class Model:
        def __init__(self):
            self.thresholds = {"score": 0.5}

        def propose(self, images, thresholds):
            return images

        def decode(self, proposal, shape, thresholds):
            return Instances((proposal[..., 0] > 0).astype(np.int32), np.ones(1, np.float32))

    truth = np.zeros((40, 40), np.int32)
    truth[4:14, 4:14] = 1
    image = np.zeros((40, 40, 1), np.float32)
    image[24:34, 24:34] = 1
    scores, picture = view_nuclei(Model(), [image], [truth])
    assert scores == {"ap_mean_50_90": 0}
    blue, orange = picture[4, 8], picture[24, 28]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    assert (picture[18, 8] == 0).all()
    assert view_nuclei(Model(), [image], [(image[..., 0] > 0).astype(np.int32)])[0] == {"ap_mean_50_90": 1}
