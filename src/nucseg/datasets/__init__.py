"""The datasets: their sources, their layouts, and how they become samples."""

from nucseg.datasets import (
    ami_br,
    bbbc038,
    demo,
    experiments,
    own,
    own_classes,
    own_patches,
    s_bsst265,
    tupac16,
    voc2012,
)
from nucseg.datasets.base import Dataset

DATASETS: dict[str, Dataset] = {
    module.INFO.name: module
    for module in (
        *(bbbc038, s_bsst265, demo, own),
        *(ami_br, tupac16, own_patches),
        *(voc2012, experiments, own_classes),
    )
}
