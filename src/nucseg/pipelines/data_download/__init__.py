"""Fetch the datasets' archives, checksummed."""

from nucseg.pipelines.data_download.pipeline import create_pipeline

__all__ = ["create_pipeline"]
