import io

import pytest
from PIL import Image

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.augment.preview import preview_sheet
from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.images.io import write_image, write_labels


@pytest.fixture
def samples(draw_nuclei, tmp_path):
    found = []
    for number, modality in enumerate(["fluorescence", "fluorescence", "histology", "brightfield"]):
        image, labels = draw_nuclei((60, 90), 4, seed=number, modality=modality)
        paths = tmp_path / f"{number}.tif", tmp_path / f"{number}_labels.tif"
        write_image(paths[0], image)
        write_labels(paths[1], labels)
        found.append(Sample(str(number), "drawn", "train", modality, None, None, 60, 90, 1, 4, 14.0, *paths))
    return found


def test_sheet_has_a_row_for_each_patch_and_modalities_take_turns(samples):
    figure = preview_sheet(samples, Augmenter.from_config(AugmentationConfig()), rows=3, versions=2, size=64)
    assert len(figure.axes) == 9
    titles = {axis.get_title() for axis in figure.axes} - {""}
    assert titles == {f"{modality}, as stored" for modality in ("fluorescence", "histology", "brightfield")}
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert Image.open(file).size[0] > 300


def test_without_training_images_it_says_so(samples):
    others = [Sample(**{**vars(sample), "split": "test"}) for sample in samples]
    with pytest.raises(InputError, match="train split"):
        preview_sheet(others, Augmenter.from_config(AugmentationConfig()))
