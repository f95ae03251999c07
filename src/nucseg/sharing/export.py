"""The formats in which a model is shared, by name."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucseg.core.errors import ConfigError, InputError, ModelError
from nucseg.core.files import atomic_file, atomic_folder
from nucseg.models.bundle import ModelBundle
from nucseg.models.facts import ModelFacts, model_facts
from nucseg.models.precision import use_precision
from nucseg.models.registry import resolve_model
from nucseg.sharing.graph import graph_of
from nucseg.sharing.readme import DESCRIPTION, README, Publication, description, description_text, readme


@dataclass(frozen=True)
class Request:
    """A model to be shared.

    Attributes:
        bundle: The model, in float32.
        facts: What is known of it.
        publication: Who shares it.
        options: Of its graph.
    """

    bundle: ModelBundle
    facts: ModelFacts
    publication: Publication
    options: dict[str, Any]


def export_model(
    model: str | Path, to: str, out: Path | None, publication: Publication, side: int | None = None
) -> Path:
    """Write a model for another program, compared with the model before it is kept.

    Args:
        model: Name or folder of the model.
        to: A name in `FORMATS`.
        out: Path to write; None for `<name>-<format>` in the working directory, with the suffix of the format.
        publication: Who shares it.
        side: Side of the image of a model whose graph takes one size only.

    Returns:
        What was written.

    Raises:
        ConfigError: There is something at the path already, or an option does not fit.
        InputError: The format is unknown.
        ModelError: There is no such model, it cannot be written so, or what was written differs from it.
        StorageError: It cannot be written.
    """
    if to not in FORMATS:
        raise InputError(f"--to: {to!r} is unknown; allowed are {', '.join(FORMATS)}.")
    suffix, write = FORMATS[to]
    folder = resolve_model(model)
    path = out or Path(f"{folder.name}-{to}{suffix}")
    if path.exists():
        raise ConfigError(f"--out: {path} exists; choose another path.")
    if suffix and path.suffix != suffix:
        raise ConfigError(f"--out: {path} must end in {suffix}.")
    facts = model_facts(folder)
    if side is not None and facts.kind != "mask_rcnn":
        raise ConfigError(f"--side: {folder.name} takes images of any size, so none is fixed; leave it out.")
    for noisy in ("tensorflow", "tf2onnx"):  # they log each step
        logging.getLogger(noisy).setLevel(logging.WARNING)
    use_precision("float32")
    options = {} if side is None else {"side": side}
    request = Request(ModelBundle.load(folder), facts, publication, options)
    with (atomic_file if suffix else atomic_folder)(path) as temporary:
        write(request, temporary)
    return path


def _onnx(request: Request, folder: Path) -> None:
    from nucseg.sharing.onnx_file import FILE, USE, write_onnx

    graph = graph_of(request.bundle, **request.options)
    write_onnx(graph, folder / FILE)
    _describe(request, graph, folder, USE)


def _saved_model(request: Request, folder: Path) -> None:
    from nucseg.sharing.saved_model import USE, write_saved_model

    graph = graph_of(request.bundle, **request.options)
    write_saved_model(graph, folder)
    _describe(request, graph, folder, USE)


def _stardist(request: Request, folder: Path) -> None:
    from nucseg.sharing.stardist_folder import USE, write_stardist_folder

    if request.facts.kind != "stardist":
        raise ModelError(
            f"{request.bundle.name}: is a {request.facts.kind} model, not a StarDist model; export it --to onnx."
        )
    write_stardist_folder(request.bundle.model, request.bundle.name, folder)
    _describe(request, graph_of(request.bundle), folder, USE)


def _bioimageio(request: Request, file: Path) -> None:
    from nucseg.sharing.bioimageio import write_package

    write_package(request.bundle, request.facts, request.publication, file)


def _describe(request: Request, graph: Any, folder: Path, use: str) -> None:
    about = request.bundle, request.facts, graph, request.publication
    (folder / README).write_text(readme(*about, use), "utf-8")
    (folder / DESCRIPTION).write_text(description_text(description(*about)), "utf-8")


FORMATS: dict[str, tuple[str, Callable[[Request, Path], None]]] = {
    "onnx": ("", _onnx),
    "savedmodel": ("", _saved_model),
    "stardist": ("", _stardist),
    "bioimageio": (".zip", _bioimageio),
}
"""Name to the suffix of the file, empty for a folder, and the function that writes it."""
