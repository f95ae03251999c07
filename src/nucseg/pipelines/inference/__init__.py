"""Find the nuclei in a folder of new images."""

from nucseg.pipelines.inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
