"""Define the augmentation and show what it does."""

from nucseg.pipelines.data_augmentations.pipeline import create_pipeline

__all__ = ["create_pipeline"]
