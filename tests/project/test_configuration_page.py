"""The page that describes every parameter."""

import runpy
from pathlib import Path


def test_it_is_what_the_typed_models_say(root: Path) -> None:
    made = runpy.run_path(str(root / "docs/describe_parameters.py"))["describe"]()

    assert (root / "docs/configuration.md").read_text("utf-8") == made
    for name in (
        "data_download.own.path",
        "stardist.training.cycles",
        "mask_rcnn.architecture.preset",
        "### `he_stain`",
    ):
        assert name in made
