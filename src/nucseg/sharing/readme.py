"""What a file of another program does not say itself: how images are prepared and results decoded."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from nucseg.core.package import VERSION
from nucseg.core.words import counted
from nucseg.images.transforms import Normalize, Rescale, Standardize, ToGrayscale, ToRGB, Transform
from nucseg.models.bundle import ModelBundle
from nucseg.models.facts import ModelFacts
from nucseg.models.registry import MODELS, kind_of
from nucseg.sharing.graph import IMAGE, Graph

README = "README.md"
DESCRIPTION = "description.json"


@dataclass(frozen=True)
class Publication:
    """Who shares a model, and on what terms.

    Attributes:
        authors: Names.
        licence: Identifier of SPDX, such as `CC-BY-4.0`; empty if none was given.
    """

    authors: tuple[str, ...] = ()
    licence: str = ""


def preparation(bundle: ModelBundle, graph: Graph) -> list[str]:
    """Describe what becomes of an image before the network sees it, step by step."""
    if graph.dtype == "uint8":
        return [f"Bytes as they are: red, green and blue, at {bundle.model.pixel_size:g} micrometres per pixel."]
    steps = ["Integer values are divided by the largest of their type: 255 for 8 bits, 65535 for 16 bits."]
    steps += [_words(transform) for transform in bundle.transforms]
    if graph.channels == 3:
        steps.append("A grey image is repeated into three channels; those of a colour image are red, green and blue.")
    if graph.side:
        steps.append(f"The image is cut into, or filled up to, {graph.side} x {graph.side} pixels.")
    else:
        steps.append(f"It is extended at the bottom and right by reflection to sides of multiples of {graph.multiple}.")
    if MODELS[kind_of(bundle.model)].task != "instance_segmentation":
        return steps
    return [
        *steps,
        "An image of one value has no nuclei; it is not shown to the network.",
        "nucseg itself chooses a scale for images whose nuclei are much larger than those it was trained on (`--scale "
        "auto`); resize such images before the first step.",
    ]


def _words(transform: Transform) -> str:
    match transform:
        case Normalize():
            over = "all channels together" if transform.axis == "image" else "each channel"
            least = f", which counts as {transform.min_range:g} if it is less" if transform.min_range else ""
            return (
                f"The percentiles {transform.pmin:g} and {transform.pmax:g} of {over} of the whole image, not of a "
                "tile, are mapped to 0 and 1, without clipping: the first is subtracted, and the rest is divided by "
                f"their difference{least}."
            )
        case Rescale():
            if transform.factor is not None:
                return f"The image is resized by the factor {transform.factor:g}."
            return f"An image of known magnification is resized to the pixel size of {transform.magnification:g}x."
        case Standardize():
            return f"Of each channel {transform.mean} is subtracted, and the rest is divided by {transform.std}."
        case ToGrayscale():
            return "Colours are converted to luminance."
        case ToRGB():
            return "A grey image is repeated into three channels."


def description(bundle: ModelBundle, facts: ModelFacts, graph: Graph, publication: Publication) -> dict[str, Any]:
    """Return what `description.json` holds: the same as the README, for programs."""
    return {
        "name": bundle.name,
        "kind": facts.kind,
        "version": facts.version,
        "nucseg": VERSION,
        "authors": list(publication.authors),
        "license": publication.licence or None,
        "input": {
            "name": IMAGE,
            "dtype": graph.dtype,
            "axes": ["batch", "y", "x", "channel"],
            "channels": graph.channels,
            "multiple": graph.multiple,
            "side": graph.side,
        },
        "preprocessing": [transform.model_dump(mode="json") for transform in bundle.transforms],
        "outputs": [asdict(output) for output in graph.outputs],
        "architecture": bundle.model.config.architecture(),
        "thresholds": bundle.model.thresholds,
        "decoding": list(graph.decoding),
        "training_data": facts.data,
        "validation": bundle.run.content().get("validation", {}),
    }


def description_text(about: dict[str, Any]) -> str:
    """Format a description as JSON."""
    return json.dumps(about, indent=2) + "\n"


def readme(bundle: ModelBundle, facts: ModelFacts, graph: Graph, publication: Publication, use: str) -> str:
    """Write the README of an export.

    Args:
        bundle: The model.
        facts: What is known of it.
        graph: Its network.
        publication: Who shares it.
        use: Markdown: how this kind of file is used.
    """
    data = (
        ", ".join(f"{counted(count, 'image')} of {dataset}" for dataset, count in facts.data.items()) or "not recorded"
    )
    rows = [f"| `{each.name}` | `{each.shape}` | {each.meaning} |" for each in graph.outputs]
    sides = f"{graph.side}, {graph.side}" if graph.side else "H, W"
    parts = [
        f"# {bundle.name}",
        f"A {facts.kind} model, version {facts.version}, exported by nucseg {VERSION}. Trained on: {data}.",
        *([f"By {', '.join(publication.authors)}."] if publication.authors else []),
        *([f"Licence: {publication.licence}."] if publication.licence else []),
        "## Use",
        use,
        "## Input",
        f"`{IMAGE}`: `(N, {sides}, {graph.channels})` {graph.dtype}. An image is prepared in these steps:",
        _numbered(preparation(bundle, graph)),
        "## Outputs",
        "\n".join(["| output | shape | content |", "|---|---|---|", *rows]),
        "## Decoding",
        _numbered(graph.decoding),
        "## Validation",
        validation(bundle),
        "## Citation",
        "\n".join(f"- {each.text} https://doi.org/{each.doi}" for each in graph.citations),
    ]
    return "\n\n".join(parts) + "\n"


def validation(bundle: ModelBundle) -> str:
    """Describe the scores on the validation split, from the model's record, in Markdown."""
    about = bundle.run.validation
    overall = {name: value for name, value in about.scores.get("overall", {}).items() if isinstance(value, float)}
    if not overall:
        return (
            "No scores on validation images are recorded. Measure the model on images of your own with known results "
            "before you rely on it."
        )
    rows = [f"| `{name}` | {value:.3f} |" for name, value in overall.items()]
    return "\n".join(
        [
            f"Scores on {about.n_images} validation images, on which the thresholds were chosen, so they are "
            "optimistic; nucseg's documentation defines them.",
            "",
            "| score | value |",
            "|---|---:|",
            *rows,
        ]
    )


def _numbered(steps: Any) -> str:
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
