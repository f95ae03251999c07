"""`kill -9` of the command itself, and `--resume`."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle


@pytest.mark.slow
def test_a_killed_run_resumes_where_it_was(small_stardist, draw_nuclei, tmp_path):
    ModelBundle("small", small_stardist, (Normalize(pmin=0, pmax=100, min_range=1),)).save(tmp_path / "model")
    tifffile.imwrite(tmp_path / "slide.tif", np.tile(draw_nuclei((256, 256), 90, seed=7, gap=1)[0], (4, 4)))
    tifffile.imwrite(tmp_path / "small.tif", draw_nuclei((100, 100), 10, seed=8)[0])

    def command(output, *options):
        images = [str(tmp_path / "small.tif"), str(tmp_path / "slide.tif")]
        settings = ["--tile", "64", "--scale", "1", "--precision", "float32", "--model", str(tmp_path / "model")]
        return ["predict", *images, "-o", str(tmp_path / output), *settings, *options]

    program = [sys.executable, "-c", "from nucseg.cli import main; main()", *command("out")]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 300
        tiles, small = (tmp_path / "out/.nucseg" / name for name in ("slide.tiles", "small.json"))
        while (len(saved := list(tiles.glob("*/*.npz"))) < 10 or not small.exists()) and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
    assert 10 <= len(saved) < 16 * 16
    assert not (tmp_path / "out/labels/slide.tif").exists()
    resumed, whole = (CliRunner().invoke(cli, words) for words in (command("out", "--resume"), command("whole")))
    assert resumed.exit_code == whole.exit_code == 0, resumed.output + whole.output
    assert "finished by an earlier run" in resumed.output
    for name in ("slide", "small"):
        first, second = (tifffile.imread(tmp_path / folder / f"labels/{name}.tif") for folder in ("out", "whole"))
        np.testing.assert_array_equal(first, second)
