"""Train a model and tune its thresholds on the validation split."""

from nucseg.pipelines.model_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
