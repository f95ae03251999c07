"""The tables of results are those of the scores that are kept."""

import importlib.util
from pathlib import Path


def test_the_readme_has_the_scores_that_are_kept(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("results", root / "benchmarks/results.py")
    assert spec is not None
    assert spec.loader is not None
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    readme = (root / "README.md").read_text()
    kept = results.kept_results()
    assert "stardist" in kept
    assert kept["stardist"]["by"]["modality"].keys() == {"fluorescence", "histology", "brightfield"}
    assert results.readme_with(readme, kept) == readme
    assert (root / "docs/results.md").read_text() == results.page(readme)
