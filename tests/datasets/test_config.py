from typing import Any

import pytest
from pydantic import ValidationError

from nucseg.datasets import DATASETS, bbbc038, s_bsst265
from nucseg.datasets.config import DOWNLOADS, DownloadConfig, ProcessingConfig, SplitConfig


@pytest.mark.parametrize(
    "given, expected",
    [("bbbc038", ("bbbc038",)), (["s_bsst265", "bbbc038"], ("s_bsst265", "bbbc038")), (["demo", "demo"], ("demo",))],
)
def test_datasets_takes_a_name_or_a_list(given: Any, expected: tuple[str, ...]) -> None:
    assert DownloadConfig.model_validate({"datasets": given}).datasets == expected


@pytest.mark.parametrize("given", ["bbbc39", [], ["bbbc038", "nope"], 3])
def test_datasets_refuses_others(given: Any) -> None:
    with pytest.raises(ValidationError, match="datasets"):
        DownloadConfig.model_validate({"datasets": given})


def test_an_unknown_dataset_names_the_allowed_ones() -> None:
    with pytest.raises(ValidationError, match=r"allowed are \['bbbc038', 'demo', 'own', 's_bsst265'\]"):
        DownloadConfig.model_validate({"datasets": "x"})


def test_sources_are_the_official_ones_by_default() -> None:
    config = DownloadConfig.model_validate({"datasets": "bbbc038"})

    assert config.source("bbbc038").url == bbbc038.ARCHIVE.url
    assert config.source("s_bsst265").sha256 == s_bsst265.ARCHIVE.sha256
    assert config.source("demo") is None


def test_overriding_the_url_drops_the_official_checksum() -> None:
    official = {"url": s_bsst265.ARCHIVE.url, "sha256": s_bsst265.ARCHIVE.sha256}

    kept = DownloadConfig.model_validate({"datasets": "s_bsst265", "s_bsst265": official})
    overridden = DownloadConfig.model_validate({"datasets": "s_bsst265", "s_bsst265": {**official, "url": "a.zip"}})
    own = DownloadConfig.model_validate({"datasets": "s_bsst265", "s_bsst265": {"url": "a.zip", "sha256": "a" * 64}})

    assert kept.s_bsst265.sha256 == s_bsst265.ARCHIVE.sha256
    assert overridden.s_bsst265.sha256 is None
    assert own.s_bsst265.sha256 == "a" * 64


@pytest.mark.parametrize("source", [{"url": "ftp://a/b.zip"}, {"url": ""}, {"url": "a", "sha256": "xyz"}, {"uri": "a"}])
def test_refuses_a_wrong_source(source: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DownloadConfig.model_validate({"datasets": "bbbc038", "bbbc038": source})


def test_fractions_sum_to_one() -> None:
    assert SplitConfig(train=0.5, val=0.25, test=0.25).fractions == {"train": 0.5, "val": 0.25, "test": 0.25}
    with pytest.raises(ValidationError, match="it must be 1"):
        SplitConfig(train=0.5, val=0.25, test=0.5)


def test_processing_takes_transforms_and_the_rules_of_the_split() -> None:
    config = ProcessingConfig.model_validate({"transforms": [{"name": "to_rgb"}], "split": {"salt": "x"}})

    assert config.split.salt == "x"
    with pytest.raises(ValidationError, match="sharpen"):
        ProcessingConfig.model_validate({"transforms": [{"name": "sharpen"}]})


@pytest.mark.parametrize("name", DATASETS)
def test_each_dataset_has_its_own_source(name: str) -> None:
    """Each dataset is fetched by its own module; none gets the archive of another."""
    fields = next(kind for kind in DOWNLOADS.values() if DATASETS[name].INFO.truth in kind.truths).model_fields

    assert (name in fields) == (DATASETS[name].SOURCE is not None)
    assert DATASETS[name].INFO.name == name


def test_a_dataset_without_its_folder_says_which_parameter_it_needs() -> None:
    with pytest.raises(ValidationError, match=r"the dataset `own` needs data_download\.own\.path"):
        DownloadConfig.model_validate({"datasets": "own"})
