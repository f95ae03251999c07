"""Turn the archives into canonical images, label images and the manifest."""

from nucseg.pipelines.data_processing.pipeline import create_pipeline

__all__ = ["create_pipeline"]
