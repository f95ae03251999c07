"""Draw what was found and missed, and write the report."""

from nucseg.pipelines.results_visualization.pipeline import create_pipeline

__all__ = ["create_pipeline"]
