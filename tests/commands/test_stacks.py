"""The page on stacks: its commands as they stand there, with a model that finds what is bright."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from click.testing import CliRunner

from microscope_files import StandInForNd2, needs, write_czi
from nucseg.cli import cli
from nucseg.images.transforms import Normalize
from nucseg.inference import predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision

PAGE = (Path(__file__).parents[2] / "docs/stacks.md").read_text()


@pytest.fixture
def stacks(tmp_path, monkeypatch, bright, draw_nuclei):
    """Write the files of the page, into the current folder."""
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),))
    monkeypatch.setattr(predictor, "load_segmenter", lambda _: bundle)
    monkeypatch.setattr("nucseg.models.registry.resolve_model", lambda _: tmp_path)
    monkeypatch.chdir(tmp_path)
    image, labels = draw_nuclei((64, 80), 5, seed=4, noise=0, gap=6)
    planes = np.stack([np.where(labels == number, image, image.min()) for number in range(1, 4)])
    names = {"axes": "TZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite("stack.ome.tif", np.stack([planes, 7 + 0 * planes], 1)[None], metadata=names)
    moved = np.stack([np.roll(image, step, 1) for step in range(3)])
    tifffile.imwrite("movie.tif", moved, imagej=True, metadata={"axes": "TYX"})
    yield
    use_precision("float32")


def block(language, title="needs stacks", page=PAGE):
    (found,) = re.findall(rf'^```{language} title="{title}"\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    return found


def run(commands):
    for command in commands.splitlines():
        name, *arguments = shlex.split(command)
        assert name == "nucseg"
        ended = CliRunner().invoke(cli, arguments)
        assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.usefixtures("stacks")
def test_the_commands_of_the_page():
    assert "1 image, 3 nuclei in" in run(block("bash"))
    assert tifffile.imread("results/labels/stack.tif").max() == 3
    names: dict[str, pd.DataFrame] = {}
    exec(block("python"), names)
    assert names["tracks"].groupby("TRACK_ID")["FRAME"].agg(list).tolist() == [[0, 1, 2]] * 5
    section = PAGE.split("| column | meaning |")[1]
    assert [name for name in names["tracks"] if f"`{name}`" not in section] == []
    assert pd.read_csv("planes/table.csv")["nucleus_mean_GFP"].tolist() == [7, 7, 7]


@pytest.mark.usefixtures("stacks")
def test_wrong_planes_are_told_in_one_line():
    for given, said in [
        (
            "z=2:5",
            "'z=2:5' must be AXIS=NUMBER (from 0), AXIS=FIRST-LAST, AXIS=all, AXIS=max or AXIS=focus, such as z=3",
        ),
        ("z=5-2", "must be AXIS=NUMBER"),
        ("z=1,z=2", "must name each axis once"),
        ("z=max,t=focus", "must have max or focus along one axis only"),
        ("angle=all", "may choose several planes along t and z; choose one along angle"),
    ]:
        ended = CliRunner().invoke(cli, ["predict", "stack.ome.tif", "-o", "wrong", "--plane", given])
        assert ended.exit_code == 2
        assert said in " ".join(ended.output.split()), ended.output


@pytest.mark.usefixtures("stacks")
def test_files_of_microscopes_are_predicted(monkeypatch):
    needs("pylibCZIrw")
    needs("nd2")
    monkeypatch.setattr("nucseg.images.nd2.ND2File", StandInForNd2)
    Path("movie.nd2").touch()
    planes = tifffile.imread("stack.ome.tif")
    place = {"scene": 0, "location": (0, 0)}
    parts = [(planes[z, c, ..., None], {"Z": z, "C": c, "T": 0}, place) for z, c in np.ndindex(3, 2)]
    write_czi(Path("plate.czi"), parts, channel_names={0: "DAPI", 1: "GFP"}, scale_x=1e-6, scale_y=1e-6)
    page = (Path(__file__).parents[2] / "docs/predict.md").read_text()
    run(block("bash", "needs files of microscopes", page).replace("--scene B2", "--scene 0"))
    rows = pd.read_csv("results/table/plate.csv")
    assert rows["nucleus_mean_GFP"].tolist() == [7, 7, 7]
    assert rows["area_um2"].tolist() == rows["area"].tolist()
    assert tifffile.imread("results/labels/plate.tif").shape == planes.shape[-2:]
    assert tifffile.imread("results/labels/movie.tif").shape == (2, 20, 30)
