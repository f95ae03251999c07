import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import s3fs
import tifffile
import zarr
from moto.server import ThreadedMotoServer

from nucseg.batch import run as batch_module
from nucseg.batch.predict import predict_images
from nucseg.batch.summary import ORIGIN
from nucseg.core.errors import InputError
from nucseg.core.package import VERSION
from nucseg.images.find import find_images
from nucseg.images.open import open_content
from nucseg.images.transforms import Normalize
from nucseg.inference.engine import LocalEngine
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.reporting.formats import FORMATS
from nucseg.reporting.options import BatchOptions


@pytest.fixture
def run(tmp_path, bright):
    """Predict images as `nucseg predict` does, into `tmp_path / "out"`."""
    (tmp_path / "model").mkdir(exist_ok=True)
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),))

    def run(*images, engine=None, at_once=2, output="out", progress=None, **options):
        engine = engine or LocalEngine()
        engine.images_at_once = at_once
        given = BatchOptions(scale=1.0, precision="float32", **options)
        return predict_images(
            find_images([str(image) for image in images]).images,
            tmp_path / output,
            Predictor(bundle, given),
            engine,
            given,
            model=tmp_path / "model",
            progress=progress,
        )

    yield run
    use_precision("float32")


@pytest.fixture
def slide(tmp_path, draw_nuclei):
    image, labels = draw_nuclei((150, 210), 30, seed=2, noise=0, gap=5)
    tifffile.imwrite(
        tmp_path / "slide.ome.tif", image, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    )
    return tmp_path / "slide.ome.tif", labels


def test_notes_of_a_source_reach_the_outcome(run, slide, monkeypatch):
    noted = "the blue channel is used."

    def content(url, scene):
        opened = open_content(url, scene)
        return replace(opened, source=lambda *given: replace(opened.source(*given), notes=(noted,)))

    monkeypatch.setattr(batch_module, "open_content", content)
    (outcome,) = run(slide[0])
    assert outcome.notes == (noted,)


def test_one_stain_in_false_colour_is_reported_and_several_are_refused(run, tmp_path, draw_nuclei):
    image, labels = draw_nuclei((150, 210), 30, seed=2, noise=0, gap=5)
    black = np.zeros_like(image)
    tifffile.imwrite(tmp_path / "blue.tif", np.dstack([black, black, image]), photometric="rgb")
    rolled = np.roll(image, 7, axis=1)
    merge = np.dstack([black, rolled - rolled.min(), image - image.min()])
    tifffile.imwrite(tmp_path / "merge.tif", merge, photometric="rgb")
    grey, merged = run(tmp_path / "blue.tif", tmp_path / "merge.tif", tile=64)
    assert grey.notes == ("one stain in false colour (blue): read as grey.",)
    assert grey.nuclei == labels.max()
    assert merged.error.endswith(
        "several stains in colour on black; choose the nuclear stain with --channel 0, 1 or 2 "
        "(red, green, blue), or, for one stain in a lookup table or with coloured annotations, save it as a grey image."
    )
    (chosen,) = run(tmp_path / "merge.tif", channel="2", output="chosen")
    assert (chosen.error, chosen.nuclei) == (None, labels.max())


def bad_images(folder: Path) -> dict[str, str]:
    """Write files that are no image to be predicted; return what must be said of each."""
    good = np.zeros((20, 30), np.uint8)
    (folder / "noimage.tif").write_bytes(b"hello")
    (folder / "empty.tif").write_bytes(b"")
    tifffile.imwrite(folder / "whole.tif", good, compression="zlib")
    (folder / "cut.tif").write_bytes((folder / "whole.tif").read_bytes()[:-5])
    tifffile.imwrite(folder / "nan.tif", np.full((20, 30), np.nan, np.float32))
    tifffile.imwrite(folder / "five.tif", np.zeros((2, 3, 4, 20, 30), np.uint8), ome=True, metadata={"axes": "TZCYX"})
    tifffile.imwrite(folder / "complex.tif", np.zeros((20, 30), np.complex64))
    (folder / "group.zarr").mkdir()
    zarr.create_group(folder / "group.zarr", overwrite=True)
    return {
        "noimage.tif": "not a TIFF, PNG or JPEG",
        "empty.tif": "is empty",
        "cut.tif": "is truncated",
        "nan.tif": "NaN",
        "five.tif": "2 planes along T, 3 planes along Z, 4 channels",
        "complex.tif": "complex64",
        "group.zarr": "multiscales",
        "missing.tif": "no such file",
        "s3://nosuchbucket-nucseg/a.tif": "s3://nosuchbucket-nucseg/a.tif",
    }


@pytest.fixture
def s3(monkeypatch):
    """Return a file system on a server that speaks S3, which the code under test finds, too."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    s3fs.S3FileSystem.clear_instance_cache()  # an earlier test's server
    yield s3fs.S3FileSystem()
    server.stop()


@pytest.mark.usefixtures("s3")
def test_bad_images_fail_one_by_one_and_the_others_go_on(run, slide, tmp_path):
    said = bad_images(tmp_path)
    tifffile.imwrite(tmp_path / "pixel.tif", np.array([[7]], np.uint8))
    tifffile.imwrite(tmp_path / "constant.tif", np.full((50, 60), 900, np.uint16))
    good = [slide[0], tmp_path / "pixel.tif", tmp_path / "constant.tif"]
    outcomes = run(*(name if "://" in name else tmp_path / name for name in said), *good)
    for outcome, (name, expected) in zip(outcomes, said.items(), strict=False):
        assert outcome.nuclei is None
        assert name in outcome.error
        assert expected in outcome.error
        assert "\n" not in outcome.error
    assert [outcome.nuclei for outcome in outcomes[len(said) :]] == [30, 0, 0]
    assert sorted(path.name for path in (tmp_path / "out/labels").iterdir()) == [
        "constant.tif",
        "pixel.tif",
        "slide.tif",
    ]


def test_images_are_read_from_a_bucket(run, slide, s3, tmp_path):
    (local,) = run(slide[0], output="local", formats=("labels", "zarr"))
    s3.mkdir("slides")
    s3.put(str(slide[0]), "slides/one.ome.tif")
    s3.put(str(local.files[1]), "slides/two.ome.zarr", recursive=True)
    outcomes = run("s3://slides/one.ome.tif", "s3://slides/two.ome.zarr", tile=64)
    assert [outcome.error for outcome in outcomes] == [None, None]
    for outcome in outcomes:
        found, expected = (tifffile.imread(files[0]) for files in (outcome.files, local.files))
        np.testing.assert_array_equal(found > 0, expected > 0)
        assert outcome.nuclei == local.nuclei == 30


def test_images_are_read_from_a_web_server(run, slide, tmp_path):
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            address = server.stdout.readline().split("(")[1].split(")")[0]
            (outcome,) = run(f"{address}slide.ome.tif?download=1")
        finally:
            server.kill()
    assert outcome.error is None
    assert (outcome.name, outcome.nuclei) == ("slide", 30)


def test_the_pixel_size_of_the_file_and_the_one_that_is_given(run, slide, tmp_path):
    run(slide[0], formats=("labels", "table"))
    with tifffile.TiffFile(tmp_path / "out/labels/slide.tif") as file:
        assert file.pages[0].get_resolution("MICROMETER") == pytest.approx((2, 2))
    run(slide[0], output="other", formats=("table",), pixel_size=2.0)
    first, second = (
        np.genfromtxt(tmp_path / folder / "table/slide.csv", delimiter=",", names=True) for folder in ("out", "other")
    )
    np.testing.assert_allclose(second["area_um2"], 16 * first["area_um2"])


def test_channels_by_number_and_name(run, slide, tmp_path):
    image = tifffile.imread(slide[0])
    stack = np.stack([np.zeros_like(image), image])
    tifffile.imwrite(tmp_path / "two.ome.tif", stack, metadata={"axes": "CYX", "Channel": {"Name": ["actin", "DAPI"]}})
    for number, channel in enumerate(("1", "dapi")):
        (outcome,) = run(tmp_path / "two.ome.tif", output=f"out{number}", channel=channel)
        assert outcome.nuclei == 30
    for channel, said in ((None, "2 channels (actin, DAPI); choose one with --channel"), ("7", "no channel '7'")):
        (outcome,) = run(tmp_path / "two.ome.tif", output="other", channel=channel)
        assert said in outcome.error


def test_results_that_are_there_are_not_replaced_unless_asked(run, slide, tmp_path):
    assert run(slide[0])[0].nuclei == 30
    (again,) = run(slide[0])
    assert "exists" in again.error
    assert "--resume or --overwrite" in again.error
    assert run(slide[0], overwrite=True)[0].nuclei == 30
    (resumed,) = run(slide[0], resume=True)
    assert (resumed.nuclei, resumed.skipped) == (30, True)
    assert not run(slide[0], resume=True, score_threshold=0.3)[0].skipped
    (tmp_path / "out/labels/slide.tif").unlink()
    assert not run(slide[0], resume=True, score_threshold=0.3)[0].skipped
    assert run(slide[0], resume=True, score_threshold=0.3)[0].skipped
    tifffile.imwrite(slide[0], np.zeros((150, 210), np.uint8))
    (changed,) = run(slide[0], resume=True, score_threshold=0.3)
    assert (changed.nuclei, changed.skipped) == (0, False)


def test_two_images_of_one_name(run, slide, tmp_path):
    for folder in ("b", "c"):
        (tmp_path / folder).mkdir()
        shutil.copy(slide[0], tmp_path / folder / "slide.tif")
    outcomes = run(tmp_path / "b/slide.tif", tmp_path / "c/slide.tif", at_once=1)
    assert [outcome.nuclei for outcome in outcomes] == [30, 30]
    assert [outcome.name for outcome in outcomes] == ["b/slide", "c/slide"]
    for folder in ("b", "c"):
        assert (tmp_path / f"out/labels/{folder}/slide.tif").is_file()


def test_the_fields_of_a_plate(run, slide, tmp_path):
    (written,) = run(slide[0], output="field", formats=("zarr",))
    for path, attributes in {
        "": {"plate": {"wells": [{"path": "A/1"}]}},
        "A": {},
        "A/1": {"well": {"images": [{"path": "f2"}]}},
    }.items():
        zarr.create_group(tmp_path / "plate.zarr" / path, zarr_format=2, attributes=attributes)
    shutil.move(written.files[0], tmp_path / "plate.zarr/A/1/f2")
    (outcome,) = run(tmp_path / "plate.zarr")
    assert (outcome.name, outcome.nuclei) == ("plate/A/1/f2", 30)
    assert outcome.files == (tmp_path / "out/labels/plate/A/1/f2.tif",)


def test_awkward_names_in_every_format(run, slide, tmp_path, monkeypatch):
    monkeypatch.setattr("nucseg.reporting.formats.overlay_png.SMALLEST_SIDE", 1)
    folder = tmp_path / "a::b?#%[1]"
    folder.mkdir()
    awkward = ["x::y.tif", "q?1.tif", "e#5%20.tif", "b[1].tif", "file:z.tif", "n" * 251 + ".tif", " .tif"]
    for name in awkward:
        shutil.copy(slide[0], folder / name)
    outcomes = run(folder, output="out::?", formats=tuple(FORMATS), expand="2px", plane=("z=0",), link=True)
    assert [outcome.error for outcome in outcomes] == [None] * len(awkward)
    assert all(file.exists() for outcome in outcomes for file in outcome.files)
    assert sorted(path.name for path in (tmp_path / "out::?").iterdir()) == sorted(
        [".nucseg", "summary.csv", "table.csv", "table.parquet", *FORMATS]
    )


def test_where_one_format_fails_none_is_written(run, slide, tmp_path, monkeypatch):
    def fail(*args):
        raise TypeError("no such\ndtype")

    run(slide[0], formats=("labels",))
    before = (tmp_path / "out/labels/slide.tif").read_bytes()
    monkeypatch.setattr("nucseg.reporting.formats.geojson.write", fail)
    (outcome,) = run(slide[0], formats=("labels", "geojson"), overwrite=True, score_threshold=0.99)
    assert "cannot be written as geojson (TypeError: no such dtype)" in outcome.error
    assert (tmp_path / "out/labels/slide.tif").read_bytes() == before
    assert not (tmp_path / "out/geojson").exists()
    assert not list((tmp_path / "out").glob(".writing*"))


def test_outcomes_come_in_the_order_of_the_images(run, slide, tmp_path):
    (tmp_path / "no.tif").write_bytes(b"no image")
    told = []
    images = [slide[0], tmp_path / "missing.tif", tmp_path / "empty", tmp_path / "no.tif"]
    (tmp_path / "empty").mkdir()
    run(*images, progress=told.append, at_once=3)
    assert [outcome.image for outcome in told] == [str(image) for image in images]
    assert [bool(outcome.error) for outcome in told] == [False, True, True, True]


class Interrupted(LocalEngine):
    """Ends after some tiles, and says which were asked for."""

    def __init__(self, tiles):
        super().__init__()
        self.left, self.skipped = tiles, None

    def parts(self, job, skip=frozenset()):
        self.skipped = set(skip)
        for each in super().parts(job, skip):
            if not self.left:
                raise RuntimeError("killed")
            self.left -= 1
            yield each


def test_resume_goes_on_with_the_tiles_that_are_missing(run, slide, tmp_path):
    (broken,) = run(slide[0], engine=Interrupted(5), tile=64)
    assert "killed" in broken.error
    saved = list((tmp_path / "out/.nucseg/slide.tiles").rglob("*.npz"))
    assert len(saved) == 5
    saved[0].write_bytes(b"half a file")
    engine = Interrupted(1000)
    (resumed,) = run(slide[0], engine=engine, tile=64, resume=True)
    assert len(engine.skipped) == 4
    run(slide[0], output="whole")
    first, second = (tifffile.imread(tmp_path / folder / "labels/slide.tif") for folder in ("out", "whole"))
    assert resumed.nuclei == 30
    assert len(np.unique(np.stack([first, second]).reshape(2, -1), axis=1)[0]) == 31
    assert not (tmp_path / "out/.nucseg/slide.tiles").exists()


def test_a_full_disk_is_said_and_nothing_half_written_is_left(run, slide, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    (outcome,) = run(slide[0])
    assert "the disk is full" in outcome.error
    assert str(tmp_path / "out/labels/slide.tif") in outcome.error
    assert not (tmp_path / "out/labels").exists()


def test_a_defect_in_one_image_is_one_line(run, slide, monkeypatch):
    monkeypatch.setattr(batch_module, "predict_tiled", lambda *args, **options: 1 / 0)
    (outcome,) = run(slide[0])
    assert "ZeroDivisionError" in outcome.error


def rows(path):
    return pd.read_csv(path, keep_default_na=False, dtype=str).to_dict("records")


def test_the_summary_and_the_table_hold_all_images_of_the_folder(run, slide, tmp_path):
    """Also those of earlier runs, whether they were finished, refused or skipped."""
    image, out = tifffile.imread(slide[0]), tmp_path / "out"
    tifffile.imwrite(tmp_path / "plain.tif", np.pad(image, 9))  # without a pixel size
    run(slide[0], formats=("table", "labels"))
    (first,) = rows(out / "summary.csv")
    assert (first["image"], first["status"], first["nuclei"]) == ("slide", "done", "30")
    assert first["source"] == str(slide[0])
    assert len(first["model_version"]) == 16
    assert first["nucseg_version"] == VERSION
    assert (first["model"], float(first["scale"])) == ("model", 1.0)
    assert first["files"] == "table/slide.parquet;table/slide.csv;labels/slide.tif"
    run(tmp_path / "plain.tif", tmp_path / "no.tif", formats=("table",))
    assert [row["image"] for row in rows(out / "summary.csv")] == ["slide", "plain", "no"]
    run(slide[0], formats=("table",))  # refused
    (tmp_path / "out/table.csv").unlink()
    *resumed, last = run(slide[0], tmp_path / "plain.tif", tmp_path / "no.tif", formats=("table",), resume=True)
    assert [outcome.skipped for outcome in resumed] == [True, True]
    *done, failed = rows(out / "summary.csv")
    assert done[0] == first
    assert [row["status"] for row in (*done, failed)] == ["done", "done", "failed"]
    assert failed["error"] == last.error
    table = pd.read_csv(out / "table.csv")
    assert table["image"].tolist() == ["slide"] * 30 + ["plain"] * 30
    assert table["area_um2"].isna().tolist() == [False] * 30 + [True] * 30
    pd.testing.assert_frame_equal(table, pd.read_parquet(out / "table.parquet"), check_dtype=False)
    alone = pd.read_csv(out / "table/slide.csv")
    pd.testing.assert_frame_equal(table[:30], alone, check_dtype=False)


def test_an_image_that_is_refused_for_its_name_leaves_the_results_of_the_other(run, slide, tmp_path):
    image, out = tifffile.imread(slide[0]), tmp_path / "out"
    for name in ("same/a.tif", "moved/a.tif", "b.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name, image)
    (tmp_path / "same/a.png").write_bytes(b"no image")

    def told():
        return [(row["image"], row["status"], row["source"].split("/")[-2:]) for row in rows(out / "summary.csv")]

    refused, done = ("a", "failed", ["same", "a.png"]), ("a", "done", ["same", "a.tif"])
    run(tmp_path / "same/a.tif", tmp_path / "same/a.png", formats=("table",))
    assert told() == [done, refused]
    run(tmp_path / "b.tif", formats=("table",))
    assert told()[:2] == [done, refused]
    assert pd.read_csv(out / "table.csv")["image"].tolist() == ["a"] * 30 + ["b"] * 30
    run(tmp_path / "same/a.png", formats=("table",), overwrite=True)  # cannot be read
    assert told()[::2] == [done, refused]
    run(tmp_path / "moved/a.tif", formats=("table",), overwrite=True)
    assert told()[1:] == [("a", "done", ["moved", "a.tif"])]


def test_a_file_name_that_is_no_utf8_leaves_a_summary_that_can_be_read(run, slide, tmp_path):
    odd = tmp_path / os.fsdecode(b"lat\xb5m.tif")
    slide[0].rename(odd)
    for options in ({}, {"resume": True}, {"overwrite": True}):
        run(odd, **options)
        (row,) = rows(tmp_path / "out/summary.csv")
        assert (row["image"], row["status"]) == ("lat\ufffdm", "done")
        assert row["source"] == f"{tmp_path}/lat\\udcb5m.tif"


def test_a_summary_of_an_earlier_version_is_continued(run, slide, tmp_path):
    run(slide[0])
    summary = tmp_path / "out/summary.csv"
    old = pd.read_csv(summary).drop(columns=[*ORIGIN]).assign(image="earlier", files="")
    old.to_csv(summary, index=False)
    run(slide[0], overwrite=True)
    assert [(row["image"], row["model"] != "") for row in rows(summary)] == [("earlier", False), ("slide", True)]


def test_a_summary_of_another_program_is_not_replaced(run, slide, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/summary.csv").write_text("mine\n1\n")
    with pytest.raises(InputError, match=r"summary.csv: was not written by nucseg"):
        run(slide[0])
    assert (tmp_path / "out/summary.csv").read_text() == "mine\n1\n"


def test_the_record_of_a_finished_image(run, slide, tmp_path):
    run(slide[0])
    record = json.loads((tmp_path / "out/.nucseg/slide.json").read_text())
    assert record["nuclei"] == 30
    assert record["settings"]["image"] == str(slide[0])
