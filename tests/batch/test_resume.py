"""`kill -9` of the command itself, and `--resume`."""

import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle

KILLED = """
import os, signal, sys
from nucseg.cli import main
from nucseg.inference.instances.parts import TileResult

save, finished, paths = TileResult.save, sys.argv.pop(1), []

def save_or_die(self, path):
    save(self, path)
    paths.append(path)
    if len(paths) > 20 and os.path.exists(finished):
        os.kill(os.getpid(), signal.SIGKILL)

TileResult.save = save_or_die
main()
"""


@pytest.mark.slow
def test_a_killed_run_resumes_where_it_was(small_stardist, draw_nuclei, tmp_path):
    ModelBundle("small", small_stardist, (Normalize(pmin=0, pmax=100, min_range=1),)).save(tmp_path / "model")
    tifffile.imwrite(tmp_path / "slide.tif", np.tile(draw_nuclei((256, 256), 90, seed=7, gap=1)[0], (4, 4)))
    tifffile.imwrite(tmp_path / "small.tif", draw_nuclei((100, 100), 10, seed=8)[0])

    def command(output, *options):
        images = [str(tmp_path / "small.tif"), str(tmp_path / "slide.tif")]
        settings = ["--tile", "64", "--scale", "1", "--precision", "float32", "--model", str(tmp_path / "model")]
        return ["predict", *images, "-o", str(tmp_path / output), *settings, *options]

    tiles, small = (tmp_path / "out/.nucseg" / name for name in ("slide.tiles", "small.json"))
    program = [sys.executable, "-c", KILLED, str(small), *command("out")]
    ended = subprocess.run(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL
    saved = list(tiles.glob("*/*.npz"))
    assert 10 <= len(saved) < 16 * 16
    assert not (tmp_path / "out/labels/slide.tif").exists()
    resumed, whole = (CliRunner().invoke(cli, words) for words in (command("out", "--resume"), command("whole")))
    assert resumed.exit_code == whole.exit_code == 0, resumed.output + whole.output
    assert "finished by an earlier run" in resumed.output
    for name in ("slide", "small"):
        first, second = (tifffile.imread(tmp_path / folder / f"labels/{name}.tif") for folder in ("out", "whole"))
        np.testing.assert_array_equal(first, second)
