"""The datasets: their sources, their layouts, and how they become samples."""

from nucseg.datasets import bbbc038, demo, own, s_bsst265
from nucseg.datasets.base import Dataset

DATASETS: dict[str, Dataset] = {module.INFO.name: module for module in (bbbc038, s_bsst265, demo, own)}
