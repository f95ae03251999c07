"""Find every nucleus in a microscopy image: StarDist and Mask R-CNN as a Kedro project."""

__version__ = "0.1.0"
