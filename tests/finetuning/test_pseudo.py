"""From outlined areas to a model, with networks that learn in seconds, and with none."""

import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.core.types import VOID
from nucseg.finetuning import pseudo
from nucseg.finetuning.pseudo import confident, train_in_rounds, unlabelled_samples
from nucseg.images.io import read_labels, write_image, write_labels
from nucseg.models.bundle import ModelBundle
from nucseg.training.pseudo_config import PseudoConfig

ROUND = {
    "architecture": {"in_channels": 1, "classes": ["background", "mark"], "decoder_filters": [8, 8, 8, 8]},
    "training": {
        "patch_size": 32,
        "batch_size": 2,
        "steps_per_epoch": 2,
        "epochs": 1,
        "learning_rate": 0.003,
        "validation_patches": 2,
        "workers": 1,
    },
}


def config(**options):
    return PseudoConfig.model_validate({"first": ROUND, "further": ROUND, "confidence": 0.5, **options})


@pytest.fixture
def outlined(tmp_path, make_sample):
    """Squares, of which the upper left quarter of the images is outlined."""
    samples = []
    for number, split in enumerate(("train", "train", "val")):
        rng = np.random.default_rng(number)
        classes = np.kron(rng.integers(0, 2, (4, 4)), np.ones((12, 12), int))
        classes[0, 0], classes[0, 1] = 0, 1
        write_image(tmp_path / f"{number}.tif", (60 + 120 * classes + rng.integers(0, 9, (48, 48))).astype(np.uint8))
        classes[24:], classes[:, 24:] = VOID, VOID
        write_labels(tmp_path / f"{number}l.tif", classes)
        paths = tmp_path / f"{number}.tif", tmp_path / f"{number}l.tif"
        samples.append(make_sample(*paths, image_id=str(number), split=split, n_nuclei=None, height=48, width=48))
    return samples


def test_two_rounds(outlined, tmp_path):
    write_image(tmp_path / "more/new.png", np.random.default_rng(9).integers(0, 255, (40, 40), np.uint8))
    further = unlabelled_samples([tmp_path / "more/new.png"], tmp_path / "u")
    found = train_in_rounds(
        outlined, further, config(), transforms=(), augmenter=None, folder=tmp_path / "run", name="marks"
    )
    assert isinstance(found.bundle, ModelBundle)
    first, second = found.rounds
    assert (first.number, first.taken) == (1, True)
    assert first.learned == 0.25
    assert second.learned > 0.9  # of two classes, one has a probability of at least a half
    assert second.taken == (second.mean_iou >= first.mean_iou)
    maps = {path.stem: read_labels(path) for path in (tmp_path / "run/round2/classes").rglob("*.tif")}
    assert set(maps) == {"0", "1", "new"}
    truth = read_labels(outlined[0].label_file())
    np.testing.assert_array_equal(maps["0"][truth != VOID], truth[truth != VOID])
    assert list(found.table["number"]) == [1, 2]


def fake_rounds(monkeypatch, scores):
    """Replace training and judging: the round's number is the model, and its score is given."""
    trained = []

    def train(samples, *given, name, **named):
        trained.append(len(samples))
        return ModelBundle(f"{name} {len(trained)}", None, ())

    task = type(
        "Task", (), {"scores": staticmethod(lambda *given: {"overall": {"mean_iou": scores[len(trained) - 1]}})}
    )
    monkeypatch.setattr(pseudo, "train", train)
    monkeypatch.setattr(pseudo.semantic, "training", lambda: task)
    used = []

    def pseudo_samples(model, samples, confidence, folder):
        used.append(model.name)
        return list(samples)

    monkeypatch.setattr(pseudo, "_pseudo_samples", pseudo_samples)
    return used


def test_a_worse_round_is_not_taken(outlined, tmp_path, monkeypatch):
    used = fake_rounds(monkeypatch, [0.6, 0.5, 0.7, 0.7])
    given = config(rounds=4)
    found = train_in_rounds(outlined, [], given, transforms=(), augmenter=None, folder=tmp_path, name="m")
    assert [each.taken for each in found.rounds] == [True, False, True, True]
    assert used == ["m 1", "m 1", "m 3"]
    assert found.bundle.name == "m 4"


def test_uncertain_pixels_are_void():
    found = confident(np.array([[255, 230, 229]], np.uint8), np.array([[0, 1, 1]], np.uint8), 0.9)
    assert found.tolist() == [[0, 1, VOID]]


def test_a_split_is_missing(outlined, tmp_path):
    with pytest.raises(InputError, match="2 of 2 images with outlined areas are in the split train and 0 in val"):
        train_in_rounds(outlined[:2], [], config(), transforms=(), augmenter=None, folder=tmp_path, name="m")


def test_one_class_alone_is_refused_and_a_missing_one_named(outlined, tmp_path, monkeypatch, caplog):
    given = {"transforms": (), "augmenter": None, "folder": tmp_path, "name": "m"}
    fake_rounds(monkeypatch, [0.5, 0.5])
    three = {**ROUND, "architecture": {**ROUND["architecture"], "classes": ["background", "mark", "dirt"]}}
    train_in_rounds(outlined, [], config(first=three, further=three), **given)
    assert "The outlined areas to learn from do not show dirt." in caplog.messages
    classes = read_labels(outlined[2].label_file())
    write_labels(outlined[2].label_file(), np.where(classes == 1, VOID, classes))
    with pytest.raises(InputError, match="the outlined areas held out show background alone"):
        train_in_rounds(outlined, [], config(), **given)


def test_two_further_images_of_one_name_are_refused(tmp_path):
    for name in ("a.png", "a.tif"):
        write_image(tmp_path / name, np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=r"a\.tif: there is another image named a"):
        unlabelled_samples(sorted(tmp_path.iterdir()), tmp_path / "u")
