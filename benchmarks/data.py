"""The processed data that the benchmarks read."""

from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from nucseg.core.types import Sample


def split_samples(split: str) -> list[Sample]:
    """List the samples of a split of the processed datasets.

    Args:
        split: `train`, `val` or `test`.
    """
    root = Path(__file__).parents[1]
    bootstrap_project(root)
    with KedroSession.create(root) as session:
        return [sample for sample in session.load_context().catalog.load("samples") if sample.split == split]
