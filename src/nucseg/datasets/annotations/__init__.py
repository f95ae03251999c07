"""Outlined nuclei as people's tools store them: label images, Fiji's ROIs, QuPath's GeoJSON, COCO and Kaggle's CSV."""

from nucseg.datasets.annotations.read import SUFFIXES, annotation_files, image_of, read_annotations

__all__ = ["SUFFIXES", "annotation_files", "image_of", "read_annotations"]
