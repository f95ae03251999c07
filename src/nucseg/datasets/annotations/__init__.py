"""Outlined nuclei as people's tools store them: label images, Fiji's ROIs, QuPath's GeoJSON and COCO."""

from nucseg.datasets.annotations.read import SUFFIXES, image_of, read_annotations

__all__ = ["SUFFIXES", "image_of", "read_annotations"]
