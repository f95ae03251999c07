"""Choosing the images to draw: those that the user names, otherwise the best, median and worst."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from nucseg.core.errors import ConfigError, InputError
from nucseg.reporting.config import ImageChoice


@dataclass(frozen=True)
class Choice:
    """One image to draw.

    Attributes:
        key: `<dataset>/<image_id>`.
        reason: Why it was chosen: `named`, or its rank, such as `best` or `worst 2`.
    """

    key: str
    reason: str


def image_keys(per_image: pd.DataFrame) -> pd.Series:
    """Return `<dataset>/<image_id>` of each row of `per_image.csv`."""
    return per_image["dataset"].astype(str) + "/" + per_image["image_id"].astype(str)


def choose_images(per_image: pd.DataFrame, config: ImageChoice) -> list[Choice]:
    """Choose the images to draw; each is chosen once.

    Args:
        per_image: `per_image.csv`: columns `image_id`, `dataset` and the scores.
        config: Names, or the numbers of best, median and worst images. Ties are ordered by key, so that the choice is
            the same on every run; images whose score is undefined are not chosen.

    Returns:
        The named images in the user's order, or the best, then the median, then the worst (lowest first).

    Raises:
        ConfigError: The images are to be ranked by a score that was not computed.
        InputError: A name is not an image of the test split (the nearest names are listed), or two datasets have it.
    """
    if config.images:
        chosen = [Choice(_find(name, per_image), "named") for name in config.images]
    else:
        chosen = _ranked(per_image, config)
    unique: dict[str, Choice] = {}
    for choice in chosen:
        unique.setdefault(choice.key, choice)
    return list(unique.values())


def choose_differences(per_image: Mapping[str, pd.DataFrame], config: ImageChoice) -> list[Choice]:
    """Choose the images on which the models' scores lie farthest apart.

    Args:
        per_image: `per_image.csv` of each model, by its name.
        config: The number of images, and the score; ties are ordered by key.

    Returns:
        The images, the largest difference first; none if the models agree on all, or there is only one.

    Raises:
        ConfigError: A model lacks the score.
    """
    scores = pd.DataFrame({model: _scores(table, config) for model, table in per_image.items()}).dropna()
    spread = (scores.max(axis=1) - scores.min(axis=1)).rename("spread").rename_axis("key").reset_index()
    spread = spread[spread["spread"] > 0].sort_values(["spread", "key"], ascending=[False, True]).head(config.differ)
    return [
        Choice(str(key), f"{config.rank_by} differs by {value:.2f}")
        for key, value in zip(spread["key"], spread["spread"], strict=True)
    ]


def _find(name: str, per_image: pd.DataFrame) -> str:
    keys = image_keys(per_image)
    found = keys[(keys == name) | (per_image["image_id"].astype(str) == name)].tolist()
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"images: {name!r} is in more than one dataset; name one of {', '.join(found)}.")
    known = [*keys, *per_image["image_id"].astype(str)]
    near = [key for key in known if key.startswith(name)] or difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near[:5])}?" if near else f"there are {len(keys)}, such as {', '.join(keys[:3])}."
    raise InputError(
        f"images: {name!r} is not an image of the test split; {hint} "
        "Correct it in results_visualization.yml, or leave `images` empty for the best, median and worst."
    )


def _ranked(per_image: pd.DataFrame, config: ImageChoice) -> list[Choice]:
    table = _scores(per_image, config).rename("score").rename_axis("key").reset_index()
    keys = table.dropna().sort_values(["score", "key"])["key"].tolist()
    if len(keys) == 1:
        return [Choice(keys[0], "the only test image")] if config.best + config.median + config.worst else []
    middle = max((len(keys) - config.median) // 2, 0)
    places = {
        "best": keys[::-1][: config.best],
        "median": keys[middle : middle + config.median],
        "worst": keys[: config.worst],
    }
    return [
        Choice(key, name if len(found) == 1 else f"{name} {number}")
        for name, found in places.items()
        for number, key in enumerate(found, 1)
    ]


def _scores(per_image: pd.DataFrame, config: ImageChoice) -> pd.Series:
    """Return the score that ranks the images, by their keys."""
    if config.rank_by not in per_image:
        raise ConfigError(
            f"rank_by: {config.rank_by!r} is not in per_image.csv; choose a score that was computed, "
            "or add it to the metrics in model_evaluation.yml and evaluate again."
        )
    return pd.Series(pd.to_numeric(per_image[config.rank_by]).to_numpy(), index=image_keys(per_image).to_numpy())
