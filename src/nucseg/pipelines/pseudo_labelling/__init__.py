"""Pipeline pseudo_labelling."""

from nucseg.pipelines.pseudo_labelling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
