"""A wheel built from the repository carries the models, and predicts where nothing else of the project is."""

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import tifffile


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    answer = subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=600
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_a_wheel_predicts_outside_the_checkout(project_copy: Path, tmp_path: Path) -> None:
    # By way of the source distribution, which must hold the models, too.
    build = "import setuptools.build_meta as backend, sys; backend.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, str(tmp_path), cwd=project_copy)
    (sdist,) = tmp_path.glob("*.tar.gz")
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path))
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(sdist), cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name.split("/")[2] for name in zipfile.ZipFile(wheel).namelist() if name.startswith("nucseg/shipped/")}
    assert shipped == {"stardist", "mask_rcnn", "mitosis", "unet", "marks"}

    empty = tmp_path / "empty"
    venv.create(empty, symlinks=True)
    packages = next((empty / "lib").glob("python3*/site-packages"))
    run(sys.executable, "-m", "pip", "--python", empty, "install", "--quiet", "--no-deps", str(wheel), cwd=tmp_path)
    # The locked packages, without what an editable install of this checkout put beside them.
    (packages / "locked.pth").write_text("\n".join(path for path in sys.path if path in site.getsitepackages()))
    away = tmp_path / "away"
    away.mkdir()
    tifffile.imwrite(away / "field.tif", tifffile.imread(project_copy / "samples/fluorescence.tif"))
    own = {"PYTHONPATH": "", "HOME": str(away), "NUCSEG_MODELS": ""}

    where = run(empty / "bin/python", "-c", "import nucseg; print(nucseg.__file__)", cwd=away, **own)
    assert Path(where.strip()).is_relative_to(packages)
    run(empty / "bin/nucseg", "predict", "field.tif", "-o", "results", cwd=away, **own)
    drawn, found = 52, tifffile.imread(away / "results/labels/field.tif").max()
    assert 0.8 * drawn <= found <= 1.2 * drawn
