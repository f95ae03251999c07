"""Packages of bioimage.io, checked by bioimageio.spec and, in a Python of its own, run by bioimageio.core."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

spec = pytest.importorskip("bioimageio.spec", reason="the extra export is not installed")

ABOUT = ("--to", "bioimageio", "--author", "Ada Lovelace", "--author", "Alan Turing", "--license", "CC-BY-4.0")

TEST = """
import json, sys
from bioimageio.core import predict, test_model

summary = test_model(sys.argv[1])
print(json.dumps([summary.status, [error.msg for detail in summary.details for error in detail.errors]]))
"""


@pytest.mark.parametrize("name", ["unet", "patches"])
def test_a_package_is_valid_and_says_what_must_be_known(name: str, export: Any, tmp_path: Path) -> None:
    ended = export(name, *ABOUT)
    assert ended.exit_code == 0, ended.output
    model = spec.load_model_description(tmp_path / f"{name}-bioimageio.zip")
    assert [author.name for author in model.authors] == ["Ada Lovelace", "Alan Turing"]
    assert model.license == "CC-BY-4.0"
    paper = {"unet": "10.1007/978-3-030-00934-2_30", "patches": "10.1007/978-3-319-46493-0_38"}
    assert model.cite[0].doi == paper[name]
    text = model.documentation.get_reader().read().decode()
    assert "## Validation" in text
    assert ("| `f1_50` | 0.875 |" in text) == (name == "unet")
    given, returned = model.inputs[0], model.outputs[0]
    if name == "patches":
        assert given.data.type == "uint8"
        assert {step.id for step in given.preprocessing} == {"ensure_dtype"}
    else:
        scaled = next(step for step in given.preprocessing if step.id == "scale_range").kwargs
        assert (scaled.min_percentile, scaled.max_percentile) == (1, 99.8)
        assert [str(axis) for axis in scaled.axes] == ["y", "x", "channel"]
        decoded = returned.postprocessing[0]
        assert decoded.id == "stardist_postprocessing"
        assert tuple(decoded.kwargs.grid) == (2, 2)
        assert np.load(returned.test_tensor.get_reader()).max() >= 10


@pytest.mark.slow
def test_bioimageio_core_runs_the_packages(export: Any, tmp_path: Path) -> None:
    python = os.environ.get("NUCSEG_BIOIMAGEIO")
    if python is None:
        give_up = pytest.fail if "bioimageio" in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip
        give_up("needs NUCSEG_BIOIMAGEIO, the path of a Python that has the packages bioimageio.core and stardist")
    environment = {**os.environ, "BIOIMAGEIO_CACHE_PATH": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    for name in ("lite", "patches"):
        assert export(name, *ABOUT).exit_code == 0
        file = tmp_path / f"{name}-bioimageio.zip"
        answer = subprocess.run([python, "-c", TEST, file], capture_output=True, text=True, env=environment, check=True)
        assert json.loads(answer.stdout.splitlines()[-1]) == ["passed", []]


def test_an_unknown_licence_is_one_line(export: Any, tmp_path: Path) -> None:
    ended = export("unet", "--to", "bioimageio", "--author", "A", "--license", "mine")
    assert ended.exit_code == 1
    assert "--license: 'mine' is not a licence of SPDX" in ended.output.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
