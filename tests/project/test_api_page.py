"""The page that describes what programs may use."""

import inspect
import runpy
from pathlib import Path

import nucseg
from nucseg.core import errors


def test_it_is_what_signatures_and_docstrings_say(root: Path) -> None:
    made = runpy.run_path(str(root / "docs/describe_api.py"))["describe"]()

    assert (root / "docs/api.md").read_text("utf-8") == made
    rows = [line.split(" | ") for line in made.splitlines() if line.startswith("| `")]
    first = {row[0].removeprefix("| ").strip("`") for row in rows}
    assert first >= set(inspect.signature(nucseg.predict).parameters)
    assert first >= {name for name in vars(errors) if name.endswith("Error")}
    assert first >= {"labels", "scores", "areas", "above(score_threshold: float)", "len(...)"}
    assert all(row[-1].removesuffix(" |") for row in rows)
    for name in nucseg.__all__:
        assert f"## `nucseg.{name}`" in made
