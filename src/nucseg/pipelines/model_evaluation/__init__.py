"""Predict the test split and measure it."""

from nucseg.pipelines.model_evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
