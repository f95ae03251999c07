"""Work from SQS, over HTTP, against moto's servers of SQS and S3."""

import time

import imagecodecs
import numpy as np
import pytest
from click.testing import CliRunner

from nucseg.core.errors import ConfigError
from nucseg.reporting.formats.registry import write_format
from nucseg.serving import results
from nucseg.serving.plane import DataPlane
from nucseg.serving.service import build_models
from nucseg.serving.worker import sqs
from nucseg.serving.worker.sqs import SqsWorker

VISIBLE = 2  # seconds that a message is hidden


@pytest.fixture
def make_worker(cloud, settings, fake):
    def make(seconds: float = 0.0, **given) -> SqsWorker:
        models = build_models(settings(), lambda folder, precision: fake.Predictor(seconds))
        plane = DataPlane(models, 10**6)
        return SqsWorker(cloud.client, cloud.queue, cloud.images, cloud.masks, plane, visibility=VISIBLE, **given)

    return make


@pytest.fixture
def picture(draw_nuclei, encode, tmp_path):
    image = draw_nuclei((50, 70), 4, seed=3)[0]
    file = tmp_path / "picture.png"
    file.write_bytes(encode(image))
    return image, file


def fetched(cloud, key, tmp_path):
    cloud.masks.get(key, tmp_path / "mask.png")
    return imagecodecs.png_decode((tmp_path / "mask.png").read_bytes())


def test_a_key_becomes_masks_and_then_the_message_goes(cloud, make_worker, picture, fake, tmp_path) -> None:
    image, file = picture
    cloud.images.put(file, "some/where.png")
    cloud.send("some/where.png")
    assert make_worker().run_one()
    expected = 255 * (fake.Predictor().predict(image).labels > 0)
    np.testing.assert_array_equal(fetched(cloud, "some/where.png.mask.png", tmp_path), expected)
    assert cloud.masks.exists("some/where.png.labels.tif")
    assert cloud.counts(cloud.queue) == (0, 0)
    assert not make_worker().run_one()


def test_the_mask_may_lie_under_the_images_own_key(cloud, make_worker, picture, fake, tmp_path) -> None:
    image, file = picture
    cloud.images.put(file, "some/where.png")
    cloud.send("some/where.png")
    assert make_worker(own_key=True).run_one()
    expected = 255 * (fake.Predictor().predict(image).labels > 0)
    np.testing.assert_array_equal(fetched(cloud, "some/where.png", tmp_path), expected)
    assert not cloud.masks.exists("some/where.png.labels.tif")


@pytest.mark.parametrize("own_key, written", [(False, ["labels"]), (True, [])])
def test_no_other_format_is_written(cloud, make_worker, picture, monkeypatch, own_key, written) -> None:
    cloud.images.put(picture[1], "a.png")
    cloud.send("a.png")
    asked = []

    def write(given, *more):
        asked.append(given)
        return write_format(given, *more)

    monkeypatch.setattr(results, "write_format", write)
    assert make_worker(own_key=own_key).run_one()
    assert asked == written


def test_the_message_goes_only_after_the_upload(cloud, make_worker, picture, monkeypatch) -> None:
    cloud.images.put(picture[1], "a.png")
    cloud.send("a.png")
    worker = make_worker()

    def full(*_):
        raise OSError("no space")

    monkeypatch.setattr(worker._target, "put", full)
    assert not worker.run_one()
    assert sum(cloud.counts(cloud.queue)) == 1


def test_a_delivery_twice_gives_the_same_masks(cloud, make_worker, picture, tmp_path) -> None:
    cloud.images.put(picture[1], "a.png")
    for _ in range(2):
        cloud.send("a.png")
    worker = make_worker()
    assert worker.run_one()
    first = fetched(cloud, "a.png.mask.png", tmp_path)
    assert worker.run_one()
    np.testing.assert_array_equal(fetched(cloud, "a.png.mask.png", tmp_path), first)
    assert cloud.counts(cloud.queue) == (0, 0)


@pytest.mark.parametrize("key", ["missing.png", "broken.png", "../../other/bucket.png", ""])
def test_poison_goes_to_the_dead_letter_queue(cloud, make_worker, tmp_path, wait, key) -> None:
    (tmp_path / "broken").write_bytes(b"no image")
    cloud.images.put(tmp_path / "broken", "broken.png")
    cloud.send(key or " ")
    worker = make_worker()

    def dead() -> bool:
        assert not worker.run_one()
        return cloud.counts(cloud.dead)[0] == 1

    wait(dead)
    assert cloud.counts(cloud.queue) == (0, 0)


def test_the_message_stays_hidden_as_long_as_the_work_goes_on(cloud, make_worker, picture) -> None:
    import threading

    cloud.images.put(picture[1], "a.png")
    cloud.send("a.png")
    working = threading.Thread(target=make_worker(2.5 * VISIBLE).run_one)
    working.start()
    other = make_worker()
    while working.is_alive():
        assert not other.run_one() or not working.is_alive()
        time.sleep(0.2)
    working.join()
    assert cloud.counts(cloud.queue) == (0, 0)
    assert cloud.masks.exists("a.png.mask.png")


def test_a_killed_workers_message_comes_back(cloud, make_worker, picture, processes, aws, wait) -> None:
    """kill -9 in the middle, of a real process; another one does it."""
    import os

    cloud.images.put(picture[1], "a.png")
    cloud.send("a.png")
    aws_names = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    arguments = ["worker", "--sqs", cloud.queue, "--input", cloud.source, "--output", cloud.target]
    first = processes.run(*arguments, FAKE_SECONDS="60", **aws_names)
    wait(lambda: cloud.counts(cloud.queue) == (0, 1), first)
    first.kill()
    assert not cloud.masks.exists("a.png.mask.png")
    second = processes.run(*arguments, **aws_names)
    wait(lambda: cloud.masks.exists("a.png.mask.png") and cloud.counts(cloud.queue) == (0, 0), second)


def test_submit_brings_the_masks_of_a_folder_back(cloud, make_worker, picture, encode, fake, tmp_path) -> None:
    import threading

    from nucseg.cli import cli

    image, file = picture
    folder = tmp_path / "images"
    folder.mkdir()
    file.rename(folder / "a.png")
    (folder / "b.tif").write_bytes(encode(image[:30], "tiff"))
    (folder / "notes.txt").write_text("no image")
    stop = threading.Event()
    working = threading.Thread(target=make_worker().run, args=(stop,))
    working.start()
    try:
        arguments = ["--sqs", cloud.queue, "--input", cloud.source, "--output", cloud.target, "--timeout", "60"]
        ended = CliRunner().invoke(cli, ["submit", str(folder), *arguments])
    finally:
        stop.set()
        working.join()
    assert ended.exit_code == 0, ended.output
    masks = folder / "masks"
    assert sorted(path.name for path in masks.iterdir()) == [
        "a.png.labels.tif",
        "a.png.mask.png",
        "b.tif.labels.tif",
        "b.tif.mask.png",
    ]
    expected = fake.Predictor().predict(image[:30]).labels > 0
    np.testing.assert_array_equal(imagecodecs.png_decode((masks / "b.tif.mask.png").read_bytes()) > 0, expected)


def test_submit_names_what_does_not_come_back(cloud, picture, tmp_path) -> None:
    from nucseg.cli import cli

    folder = tmp_path / "images"
    folder.mkdir()
    picture[1].rename(folder / "lost.png")
    arguments = ["--sqs", cloud.queue, "--input", cloud.source, "--output", cloud.target, "--timeout", "0.1"]
    ended = CliRunner().invoke(cli, ["submit", str(folder), *arguments])
    assert ended.exit_code == 1
    assert "lost.png" in ended.output
    (folder / "lost.png").unlink()
    ended = CliRunner().invoke(cli, ["submit", str(folder), *arguments])
    assert "contains no image" in ended.output


def test_what_keeps_submit_from_its_queue_or_storage_is_reported(cloud, picture, tmp_path) -> None:
    from nucseg.cli import cli

    folder = tmp_path / "images"
    folder.mkdir()
    picture[1].rename(folder / "a.png")
    usual = {"--sqs": cloud.queue, "--input": cloud.source, "--output": cloud.target}
    for wrong in ({"--sqs": f"{cloud.queue}-other"}, {"--input": "/proc/nowhere"}):
        arguments = [word for option in (usual | wrong).items() for word in option]
        ended = CliRunner().invoke(cli, ["submit", str(folder), *arguments])
        assert ended.exit_code == 1
        assert "cannot be submitted" in ended.output
        assert "Check --sqs" in ended.output


def test_a_missing_region_is_named(monkeypatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(ConfigError, match="AWS_DEFAULT_REGION"):
        sqs.sqs_client()


def test_the_options_of_sqs_belong_together() -> None:
    from nucseg.cli import cli

    ended = CliRunner().invoke(cli, ["worker", "--sqs", "http://queue"])
    assert ended.exit_code == 2
    assert "--output" in ended.output
