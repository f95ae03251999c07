import json
import logging
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nucseg.core.errors import ConfigError, InputError, StorageError
from nucseg.tasks import instances
from nucseg.training import train as train_module
from nucseg.training.train import bundle_pretrained, tune_thresholds

SCHEDULES = {
    "cosine": {"schedule": "cosine"},
    "plateau": {"schedule": "plateau", "plateau_patience": 1, "early_stopping_patience": 3, "learning_rate": 0.3},
}
KILLED = [("foreground", "plateau"), ("mask_rcnn", "cosine")]


def losses(bundle):
    return [(entry["loss"], entry["val_loss"]) for entry in bundle.run.history]


def checkpoint(folder):
    """Read the only checkpoint: its state, and its arrays by name."""
    (path,) = (folder / "run/checkpoints").iterdir()
    with np.load(path) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("state"))), arrays


@pytest.mark.slow
@pytest.mark.parametrize("kind, schedule", KILLED)
def test_killed_and_run_again_it_ends_as_an_uninterrupted_run(drawn, tmp_path, kind, schedule):
    program = [sys.executable, drawn.__file__, kind, json.dumps(SCHEDULES[schedule])]
    # Each in a process of its own, as users run them: what a process computed before shows in the last bits.
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as trainings:

        def train(folder, kill):
            print(tmp_path / folder, kill, file=trainings.stdin, flush=True)
            return int(trainings.stdout.readline())

        assert train("whole", -1) == 0
        # The feed is some batches ahead of the step, and makes one item and the validation beforehand: in the third
        # epoch.
        assert train("broken", 2 * 12 + 3 + 1 + 9) == -signal.SIGKILL
        expected, state = checkpoint(tmp_path / "whole")[0], checkpoint(tmp_path / "broken")[0]
        assert 1 <= len(state["history"]) < len(expected["history"])
        assert not state["finished"]
        assert train("broken", -1) == 0
        trainings.stdin.close()
    (expected, arrays), (found, others) = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "broken")
    assert found == expected
    assert found["finished"]
    assert others.keys() == arrays.keys()
    for name in arrays:
        np.testing.assert_array_equal(others[name], arrays[name], err_msg=name)


def test_it_learns_and_the_best_weights_are_kept(drawn, samples, tmp_path):
    bundle = drawn.run_training(samples, tmp_path, learning_rate=0.05, schedule="constant", epochs=8)
    history = [val for _, val in losses(bundle)]
    assert history[-1] < history[0]
    model = bundle.model.keras_model
    from nucseg.images.preprocessing import Preprocessor
    from nucseg.training.feed import validation_arrays
    from nucseg.training.patches import PatchSource

    held_out = [sample for sample in samples if sample.split == "val"]
    source = PatchSource(held_out, Preprocessor(bundle.transforms, 1), None, drawn.SMALL.patch_size, cache_mb=1)
    x, y = validation_arrays(source, bundle.model, drawn.SMALL)
    assert model.evaluate(x, y, batch_size=2, verbose=0) == pytest.approx(min(history), rel=1e-5)


def test_a_finished_training_gives_its_last_weights_without_being_repeated(drawn, samples, tmp_path, caplog):
    options = {"learning_rate": 0.05, "epochs": 4, "schedule": "constant"}
    caplog.set_level(logging.INFO)
    best = drawn.run_training(samples, tmp_path, **options).model.keras_model.get_weights()
    caplog.clear()
    last = drawn.run_training(samples, tmp_path, **options, keep="last").model.keras_model.get_weights()
    assert "already complete" in caplog.text
    assert "the last weights are kept" in caplog.text
    at_once = drawn.run_training(samples, tmp_path / "other", **options, keep="last").model.keras_model.get_weights()
    for one, two in zip(last, at_once, strict=True):
        np.testing.assert_array_equal(one, two)
    bundle = drawn.run_training(samples, tmp_path, **options)
    history = [val for _, val in losses(bundle)]
    assert all(np.array_equal(one, two) for one, two in zip(best, last, strict=True)) == (min(history) == history[-1])


def test_the_history_holds_the_learning_rate_of_each_epoch(drawn, samples, tmp_path):
    cosine, plateau, constant = (
        [
            entry["learning_rate"]
            for entry in drawn.run_training(samples, tmp_path, schedule=schedule, **options).run.history
        ]
        for schedule, options in (
            ("cosine", {"epochs": 3}),
            ("plateau", {"epochs": 10, "plateau_patience": 1, "learning_rate": 1.0}),
            ("constant", {"epochs": 2}),
        )
    )
    assert 0.01 > cosine[0] > cosine[1] > cosine[2] == pytest.approx(0, abs=1e-9)
    assert plateau[0] == 1
    assert set(plateau) <= {0.5**times for times in range(10)}
    assert plateau[-1] < 1
    assert constant == pytest.approx([0.01, 0.01])


def test_a_pretrained_model_is_used_as_it_is(drawn, samples, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    segmenter = drawn.ForegroundNet()
    before = segmenter.keras_model.get_weights()
    bundle = bundle_pretrained(
        [replace(samples[0], split="test"), *samples[1:]],
        segmenter,
        transforms=(),
        config=drawn.SMALL,
        name="mine",
        parameters={"pretrained": "models/mine", "fine_tune": False},
    )
    bundle = tune_thresholds(bundle, samples, instances.training())
    for one, two in zip(before, bundle.model.keras_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    run = bundle.run
    assert json.loads(json.dumps(run.content(), allow_nan=False)) == run.content()
    assert run.history == []
    assert run.splits == {"val": ["drawn/2"]}
    assert run.parameters.model == {"pretrained": "models/mine", "fine_tune": False}
    assert run.parameters.training is None
    assert run.validation.thresholds == {"score": 0.4}
    assert "nothing is trained" in caplog.text
    with pytest.raises(InputError, match="none in the split 'val'"):
        bundle_pretrained(samples[:1], segmenter, transforms=(), config=drawn.SMALL, name="mine", parameters={})


def test_an_image_larger_than_the_model_takes_is_tuned_in_windows(drawn, samples):
    model = drawn.ForegroundNet()
    model.max_side = 32
    bundle = bundle_pretrained(samples, model, transforms=(), config=drawn.SMALL, name="mine", parameters={})
    assert tune_thresholds(bundle, samples, instances.training()).run.validation.n_images == 1
    assert model.tuned_on == 9 * [(16, 16)]  # 48 x 48, which the model sees enlarged


def test_the_record_holds_that_of_the_model_it_started_from(drawn, samples, tmp_path):
    first = {"splits": {"train": ["other/1"]}, "seed": 7}
    (tmp_path / "run.json").write_text(json.dumps(first))
    parameters = {"pretrained": str(tmp_path), "fine_tune": False}
    options = {"transforms": (), "config": drawn.SMALL, "name": "mine", "parameters": parameters}
    bundle = bundle_pretrained(samples, drawn.ForegroundNet(), **options)
    assert bundle.run.parent_run.content() == first
    assert bundle.run.images_seen() == {"train": {"other/1"}, "val": {"drawn/2"}}


def test_early_stopping_stops(drawn, samples, tmp_path):
    bundle = drawn.run_training(
        samples, tmp_path, schedule="constant", learning_rate=1.0, early_stopping_patience=1, epochs=50
    )
    assert len(losses(bundle)) < 50


def test_a_finished_training_is_not_repeated_but_a_different_one_starts_over(drawn, samples, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first = drawn.run_training(samples, tmp_path, epochs=2)
    caplog.clear()
    again = drawn.run_training(samples, tmp_path, epochs=2, workers=1)
    assert "already complete" in caplog.text
    assert "starts from the beginning" not in caplog.text
    assert losses(again) == losses(first)
    for one, two in zip(first.model.keras_model.get_weights(), again.model.keras_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    other = drawn.run_training(samples, tmp_path, epochs=2, seed=1)
    assert f"{tmp_path / 'checkpoints'}: the existing checkpoints belong to other settings" in caplog.text
    assert losses(other) != losses(first)


def test_other_pretrained_weights_are_another_training(drawn, samples, tmp_path, monkeypatch):
    def net(factor):
        made = drawn.ForegroundNet()
        made.keras_model.set_weights([factor * weights for weights in made.keras_model.get_weights()])
        return made

    found = []
    for factor in (1, 2, 2):
        monkeypatch.setitem(drawn.MODELS, "foreground", lambda kill_at, factor=factor: net(factor))
        bundle = drawn.run_training(samples, tmp_path, epochs=1, parameters={"pretrained": "models/mine"})
        found.append((losses(bundle), len(list((tmp_path / "checkpoints").iterdir()))))
    assert [count for _, count in found] == [1, 2, 2]
    assert found[0][0] != found[1][0] == found[2][0]


def test_the_record_tells_where_the_model_came_from(drawn, samples, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    test_image = replace(samples[0], image_id="t", split="test")
    bundle = drawn.run_training([*samples, test_image], tmp_path, epochs=1, parameters={"filters": 4})
    run = bundle.run
    assert json.loads(json.dumps(run.content(), allow_nan=False)) == run.content()
    assert run.splits == {"train": ["drawn/0", "drawn/1", "drawn/3"], "val": ["drawn/2"]}
    assert run.parameters.model == {"filters": 4}
    assert run.parameters.training["epochs"] == 1
    assert run.seed == 42
    assert len(run.data_sha256) == 64
    assert run.precision in ("float32", "bfloat16")
    assert {"nucseg", "tensorflow", "python"} <= set(run.versions)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert list((tmp_path / "tensorboard" / checkpoint.stem).rglob("events*"))
    for said in (
        "Train on 3 images (2 fluorescence, 1 histology)",
        "Device:",
        "Precision:",
        str(tmp_path),
        "Epoch 1/1",
    ):
        assert said in caplog.text


def test_thresholds_are_tuned_on_the_validation_split(drawn, samples, tmp_path):
    bundle = tune_thresholds(drawn.run_training(samples, tmp_path, epochs=1), samples, instances.training())
    assert bundle.model.thresholds == {"score": 0.4}
    assert bundle.run.validation.thresholds == {"score": 0.4}
    assert bundle.run.validation.n_images == 1
    scores = bundle.run.validation.scores
    held_out = [sample for sample in samples if sample.split == "val"]
    assert scores["overall"]["n_images"] == 1
    assert scores["overall"]["n_true"] == sum(sample.n_nuclei for sample in held_out)
    assert scores["by_modality"] == {held_out[0].modality: scores["overall"]}
    assert scores["overall"]["f1_50"] is not None


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_images_is_named(drawn, samples, tmp_path, split):
    with pytest.raises(InputError, match="none in the split"):
        drawn.run_training(drawn.with_split(samples, split), tmp_path)


def test_a_patch_size_that_does_not_fit_is_refused(drawn, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn.ForegroundNet, "stride", 24)
    with pytest.raises(ConfigError, match=r"multiple of 24"):
        drawn.run_training(samples, tmp_path)


def test_an_unreadable_image_ends_the_training_with_its_name(drawn, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    samples = drawn.draw_samples(folder)
    samples[3].image_path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"3\.tif"):
        drawn.run_training(samples, tmp_path / "run", epochs=2)


def test_a_damaged_checkpoint_is_named(drawn, samples, tmp_path):
    drawn.run_training(samples, tmp_path, epochs=1)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    checkpoint.write_bytes(b"half")
    with pytest.raises(StorageError, match=checkpoint.name):
        drawn.run_training(samples, tmp_path, epochs=1)


def test_a_training_of_an_earlier_version_goes_on(drawn):
    """Parameters that it did not have do not change the name of its checkpoint, as long as they change nothing."""
    training = drawn.SMALL.model_dump(mode="json")
    now = {"training": training, "sampling": {"balance": "none", "enlarge": None}}
    before = {"training": training, "sampling": {"balance": "none"}}
    other = {"training": training, "sampling": {"balance": "none", "enlarge": [20, 24]}}
    names = [train_module._identity(settings, "digest", []) for settings in (now, before, other)]
    assert names[0] == names[1] != names[2]
