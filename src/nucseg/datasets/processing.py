"""Conversion of archives to canonical images, label images and the rows of the manifest."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from nucseg.core.errors import InputError
from nucseg.datasets import DATASETS
from nucseg.datasets.base import RawSample
from nucseg.datasets.class_maps import check_classes, of_nuclei
from nucseg.datasets.config import ProcessingConfig, SplitConfig
from nucseg.datasets.duplicates import fingerprint, near_duplicate_groups
from nucseg.datasets.manifest import COLUMNS, OPTIONAL
from nucseg.datasets.modality import modality_of
from nucseg.datasets.splits import split_cases, split_of
from nucseg.images.source import array_source
from nucseg.images.survey import survey
from nucseg.masks.labels import fill_label_holes, median_diameter, relabel

logger = logging.getLogger(__name__)

CONVERTED_COLUMNS = [
    *("image_id", "dataset", "modality", "magnification", "test_class", "height", "width", "channels"),
    *("n_nuclei", "median_diameter_px", "image_path", "label_path", "splits", "field", "overlap_px", "fingerprint"),
    *("case", "stratum"),
]
REJECTED_COLUMNS = ["dataset", "image_id", "reason"]


@dataclass(frozen=True)
class ConvertedChunk:
    """Some converted samples, and the facts of all samples so far.

    Attributes:
        images: `<dataset>/<image_id>` to the canonical image `(H, W)` or `(H, W, 3)`, uint8 or uint16.
        labels: The same keys to the label image `(H, W)` int32, 1..N without gaps, or the class map `(H, W)` uint8; of
            samples that have one.
        converted: One row per sample converted so far, columns `CONVERTED_COLUMNS`.
        rejected: One row per sample rejected so far, columns `REJECTED_COLUMNS`.
    """

    images: dict[str, NDArray] = field(repr=False)
    labels: dict[str, NDArray] = field(repr=False)
    converted: pd.DataFrame
    rejected: pd.DataFrame


def convert_datasets(
    archives: Mapping[str, Path],
    config: ProcessingConfig,
    chunk_size: int = 32,
    given: Mapping[Path, Path] = MappingProxyType({}),
) -> Iterator[ConvertedChunk]:
    """Convert every sample of the archives to the canonical form; broken ones are rejected with the reason.

    Args:
        archives: Dataset name to its archive.
        config: Whether holes in nuclei are filled.
        chunk_size: Samples in memory at once.
        given: Folders by those that stand for them in the archives; reasons name the former.

    Yields:
        Chunks of at most `chunk_size` samples; the last one has the facts of all, and comes even if it is empty. Save a
        chunk before taking the next one: its images and labels are then emptied, so that memory stays flat.

    Raises:
        InputError: An archive as a whole cannot be read.
    """
    converted: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    images: dict[str, NDArray] = {}
    labels: dict[str, NDArray] = {}
    for dataset, archive in archives.items():
        ids: set[str] = set()
        for sample in tqdm(DATASETS[dataset].raw_samples(archive), desc=dataset, unit="image", leave=False):
            try:
                _check_id(sample.image_id, ids)
                image, label_image, row = _convert(sample, dataset, config)
            except InputError as error:
                reason = str(error)
                for link, folder in given.items():
                    reason = reason.replace(str(link), str(folder))
                logger.warning("%s: a sample was rejected: %s", dataset, reason)
                rejected.append({"dataset": dataset, "image_id": sample.image_id, "reason": reason})
                continue
            finally:
                ids.add(sample.image_id)
            key = f"{dataset}/{sample.image_id}"
            images[key] = image
            if label_image is not None:
                labels[key] = label_image
            converted.append(row)
            if len(images) == chunk_size:
                yield _chunk(images, labels, converted, rejected)
                # Kedro passes chunks on through itertools.tee, which would keep up to 57 of them alive.
                images.clear()
                labels.clear()
                images, labels = {}, {}
    yield _chunk(images, labels, converted, rejected)
    _log_counts(list(archives), converted, rejected)
    shown = set().union(*(row["shown"] for row in converted))
    if converted and (unseen := [name for number, name in enumerate(config.classes or ()) if number not in shown]):
        logger.warning("No class map shows %s; a model cannot learn them.", ", ".join(unseen))


def assign_splits(converted: pd.DataFrame, config: ProcessingConfig) -> pd.DataFrame:
    """Create the manifest: a sample's split is the one its dataset names, otherwise the hash of its id chooses it.

    Near-duplicates stay together: the smallest id of a group decides for the whole group, and is its `case`. Official
    splits stay as they are, so groups are formed only among samples that may belong to the same splits.

    Args:
        converted: Columns `CONVERTED_COLUMNS`.
        config: The rules of the split.

    Returns:
        Columns as `nucseg.core.types.Sample`, sorted by dataset and id; paths are relative to the manifest's folder.

    Raises:
        InputError: There is no sample.
    """
    if converted.empty:
        raise InputError(
            "No sample could be converted; rejected.csv lists the reasons. Check the archives and fetch them again."
        )
    rows = converted.reindex(columns=CONVERTED_COLUMNS)  # a file of an earlier version lacks the last ones
    rows = rows.astype({"image_id": str, "n_nuclei": "Int64", "case": object}).sort_values(
        ["dataset", "image_id"], ignore_index=True
    )
    rows["split"] = ""
    for (_, splits), alike in rows.groupby(["dataset", "splits"]):
        of_cases = alike["case"].notna().any()
        grouped = config.split.group_near_duplicates and not of_cases
        groups = near_duplicate_groups(alike) if grouped else alike["image_id"]
        rows.loc[alike.index, "split"] = _splits(alike, groups, str(splits).split(), config.split)
        if not of_cases:
            rows.loc[alike.index, "case"] = groups.where(groups.duplicated(keep=False))
    _log_splits(rows)
    return rows[[*COLUMNS, *OPTIONAL]] if rows["case"].notna().any() else rows[COLUMNS]


def _check_id(image_id: str, earlier_ids: set[str]) -> None:
    if not re.fullmatch(r"[\w-][\w .-]*", image_id):
        raise InputError(f"{image_id!r}: invalid id; allowed are letters, digits, '_', '-', '.' and spaces.")
    if image_id in earlier_ids:
        raise InputError(f"{image_id}: appears twice in the archive; the first one is used.")


def _convert(
    sample: RawSample, dataset: str, config: ProcessingConfig
) -> tuple[NDArray, NDArray | None, dict[str, Any]]:
    image, labels, n_overlap = sample.read()
    name, info = sample.image_id, DATASETS[dataset].INFO
    of_points = info.truth == "points"
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{name}: the image is {image.dtype}; allowed are uint8 and uint16. Convert it.")
    if of_points:
        if image.ndim != 3:
            raise InputError(f"{name}: is grey; patches of a stained section must be in colour.")
        image = image[..., :3]  # the rest is alpha
    elif config.classes and labels is not None:
        if sample.classes not in (None, config.classes):
            raise InputError(
                f"{name}: the dataset names the classes {', '.join(sample.classes or ())}, but "
                f"semantic.data_preprocessing.classes are {', '.join(config.classes)}; name the same ones in both."
            )
        classes = of_nuclei(labels) if info.truth == "nuclei" else labels
        labels = check_classes(classes, image, name, config.classes)
    elif labels is not None:
        labels = _cleaned(labels, image, name, config, may_be_empty=info.may_be_empty)
    if not of_points:  # whose images are stained sections: one that is nearly of one hue is in colour still
        surveyed = survey(array_source(image, name))
        for note in surveyed.notes:
            logger.info("%s: %s", name, note)
        image = surveyed.canonical(image)
    modality = sample.modality or modality_of(image)
    nuclei = None if of_points or config.classes else labels
    return (
        image,
        labels,
        {
            "image_id": name,
            "dataset": dataset,
            "modality": modality,
            "magnification": sample.magnification,
            "test_class": sample.test_class,
            "height": image.shape[0],
            "width": image.shape[1],
            "channels": 1 if image.ndim == 2 else 3,
            "n_nuclei": None if nuclei is None else int(nuclei.max()),
            "median_diameter_px": None if nuclei is None else median_diameter(nuclei),
            "image_path": f"images/{dataset}/{name}.tif",
            "label_path": None if labels is None else f"labels/{dataset}/{name}.tif",
            "splits": " ".join(sample.splits),
            "field": sample.field,
            "overlap_px": n_overlap,
            "fingerprint": fingerprint(image),
            "case": sample.case,
            "stratum": sample.stratum,
            "shown": set(np.unique(labels).tolist()) if config.classes and labels is not None else set(),
        },
    )


def _cleaned(
    labels: NDArray, image: NDArray, name: str, config: ProcessingConfig, *, may_be_empty: bool
) -> NDArray[np.int32]:
    """Return the label image as it is stored: without gaps, and without holes if holes are filled."""
    if image.shape[:2] != labels.shape:
        raise InputError(
            f"{name}: the image has {image.shape[:2]} (rows, columns) and its label image {labels.shape}; they must be "
            "equal."
        )
    labels = relabel(labels)
    if config.fill_label_holes:
        labels = relabel(fill_label_holes(labels))
    if not labels.any() and not may_be_empty:
        raise InputError(f"{name}: the label image contains no nucleus.")
    return labels


def _chunk(
    images: dict[str, NDArray], labels: dict[str, NDArray], converted: list[dict], rejected: list[dict]
) -> ConvertedChunk:
    return ConvertedChunk(
        images,
        labels,
        pd.DataFrame(converted, columns=CONVERTED_COLUMNS),
        pd.DataFrame(rejected, columns=REJECTED_COLUMNS),
    )


def _splits(rows: pd.DataFrame, groups: pd.Series, allowed: list[str], config: SplitConfig) -> list[str]:
    fractions = {split: share for split, share in config.fractions.items() if split in allowed}
    if len(allowed) == 1:
        return allowed * len(rows)
    if sum(fractions.values()) == 0:
        raise InputError(
            f"data_preprocessing.split assigns no share to any of {', '.join(allowed)}; set one of them above 0."
        )
    if rows["case"].notna().any():
        return split_cases(list(rows["case"]), list(rows["stratum"].fillna("")), config.salt, fractions)
    sizes = groups.value_counts()
    logger.info(
        "%s: %d samples in %d groups of near-duplicates",
        rows["dataset"].iloc[0],
        sizes[sizes > 1].sum(),
        (sizes > 1).sum(),
    )
    return [split_of(group, config.salt, fractions) for group in groups]


def _log_counts(datasets: list[str], converted: list[dict[str, Any]], rejected: list[dict[str, str]]) -> None:
    for dataset in datasets:
        rows = [row for row in converted if row["dataset"] == dataset]
        modalities = Counter(row["modality"] for row in rows)
        nuclei = [row["n_nuclei"] for row in rows if row["n_nuclei"] is not None]  # class maps do not count them
        logger.info(
            "%s: %d samples converted (%s)%s; %d pixels in %d samples"
            " were claimed by several masks; %d samples rejected",
            dataset,
            len(rows),
            ", ".join(f"{count} {modality}" for modality, count in modalities.most_common()),
            f", {sum(nuclei)} nuclei" if nuclei else "",
            sum(row["overlap_px"] for row in rows),
            sum(row["overlap_px"] > 0 for row in rows),
            sum(row["dataset"] == dataset for row in rejected),
        )


def _log_splits(rows: pd.DataFrame) -> None:
    counts = pd.crosstab([rows["dataset"], rows["modality"]], rows["split"])
    logger.info("Samples in each split:\n%s", counts.to_string())
