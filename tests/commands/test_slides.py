"""The command line on slides, as docs/slides.md has it."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import ndimage

from fake_segmenter import FakeSegmenter
from nucseg.cli import cli
from nucseg.core.types import Instances
from nucseg.images.transforms import Normalize
from nucseg.inference import predictor
from nucseg.models.bundle import ModelBundle
from slides import write_slide

BOX = [[64, 128], [264, 128], [264, 448], [64, 448], [64, 128]]


@pytest.fixture
def truth(tmp_path, monkeypatch, draw_nuclei):
    """Write what the page has into a folder, and let the command load a model that needs no network."""

    def dark_parts(image):
        labels = ndimage.label(image[..., 0] < 0.4)[0].astype(np.int32)
        return Instances(labels, np.full(labels.max(), 0.9, np.float32))

    bundle = ModelBundle("fake", FakeSegmenter(dark_parts, stride=8, halo=24), (Normalize(pmin=0, pmax=100),))
    monkeypatch.setattr(predictor, "load_segmenter", lambda folder: bundle)
    monkeypatch.setattr("nucseg.images.source.SLIDE_PIXELS", 0)
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stardist").mkdir()
    (tmp_path / "stardist/config.json").write_text(json.dumps({"model": "stardist"}))
    image, truth = np.full((640, 960, 3), 240, np.uint8), np.zeros((640, 960), np.int32)
    image[128:448, 64:464], truth[128:448, 64:464] = draw_nuclei(
        (320, 400), 25, seed=3, noise=0, gap=8, radius=(9.0, 14.0), modality="histology"
    )
    write_slide(tmp_path, image, 0.25)
    (tmp_path / "slides").mkdir()
    write_slide(tmp_path / "slides", image, 0.25, scanner="scn")
    (tmp_path / "annotations.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [BOX]}))
    return truth


def test_the_commands_of_the_page(truth):
    page = (Path(__file__).parents[2] / "docs/slides.md").read_text()
    (block,) = re.findall(r'^```bash title="needs a slide"\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    for command in block.splitlines():
        name, *arguments = shlex.split(command)
        assert name == "nucseg"
        ended = CliRunner().invoke(cli, arguments)
        assert ended.exit_code == 0, ended.output
        assert re.search(r"Note: \d+\.\d% of it is tissue \(--tissue auto\)", ended.output)
    table = pd.read_parquet("results/table.parquet")
    assert len(table) == truth.max()
    boxes = np.array([[(side.start, side.stop) for side in box] for box in ndimage.find_objects(truth)])
    middles = np.sort(boxes.mean(2).sum(1))
    found = np.sort((table[["bbox-0", "bbox-1"]].to_numpy() + table[["bbox-2", "bbox-3"]].to_numpy()).sum(1) / 2)
    np.testing.assert_allclose(found, middles, atol=3)  # in pixels of level 0
    features = json.loads(Path("region/geojson/slide.geojson").read_text())["features"]
    assert 0 < len(features) < truth.max()
    assert max(point[0] for each in features for point in each["geometry"]["coordinates"][0]) < 264 + 30


@pytest.mark.parametrize(
    "option, content, said",
    [
        ("--region", {"type": "Polygon", "coordinates": [[[5000, 0], [6000, 0], [6000, 9], [5000, 0]]]}, "lie outside"),
        ("--region", {"type": "FeatureCollection", "features": []}, "holds no polygon"),
        ("--tissue", "no GeoJSON", "cannot be read as GeoJSON"),
    ],
)
@pytest.mark.usefixtures("truth")
def test_outlines_that_cannot_be_used_fail_in_a_line(option, content, said):
    Path("a.geojson").write_text(json.dumps(content))
    ended = CliRunner().invoke(cli, ["predict", "slide.svs", "-o", "out", option, "a.geojson"])
    assert ended.exit_code == 1
    (line,) = [line for line in ended.output.splitlines() if line.startswith("Failed: ")]
    assert said in line
    assert "a.geojson" in line


@pytest.mark.parametrize("option", ["--region", "--tissue"])
@pytest.mark.usefixtures("truth")
def test_a_file_that_is_missing_is_refused_before_anything_is_read(option):
    ended = CliRunner().invoke(cli, ["predict", "slide.svs", "-o", "out", option, "missing.geojson"])
    assert ended.exit_code == 2
    assert "must be a GeoJSON file that exists" in ended.output
