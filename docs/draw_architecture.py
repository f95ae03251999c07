"""Draw the pictures of architecture.md: the rooms of src/nucseg, and the flow of data through the pipelines.

The rooms and their order are read from the import contracts in pyproject.toml and the rooms' own docstrings, the data
flow from the registered pipelines and the catalog.

python docs/draw_architecture.py
"""

import ast
import os
import textwrap
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import yaml
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from nucseg.pipeline_registry import register_pipelines

ROOT = Path(__file__).parents[1]
IMAGES = Path(__file__).with_name("images")
FIRST, SECOND, PLAIN, EDGE = "#9AD3F2", "#F5C767", "#DDDDDD", "#333333"

STAGES = (
    *("data_download", "data_processing", "data_augmentations", "model_training"),
    *("model_evaluation", "results_visualization", "inference"),
)
MODEL = "stardist."
"""The model whose datasets stand for those of every model."""


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """Create an empty picture; its units are inches, rows count downwards."""
    figure = Figure(figsize=(width, height), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def box(axes: Axes, place: tuple[float, float, float, float], colour: str) -> None:
    """Draw a box: left, top, width, height."""
    left, top, width, height = place
    shape = FancyBboxPatch((left, top), width, height, boxstyle="round,pad=0,rounding_size=0.08", fc=colour, ec=EDGE)
    axes.add_patch(shape)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = EDGE) -> None:
    """Draw a straight arrow."""
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, shrinkA=0, shrinkB=0, color=colour, lw=1.3)
    )


def purpose(room: str) -> str:
    """Return the first sentence of a room's docstring, shortened at a colon or semicolon if it is long."""
    path = ROOT / "src/nucseg" / room
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    sentence = first.partition(";")[0].partition(". ")[0].rstrip(".").replace("`", "")
    return sentence if len(sentence) < 65 or len(sentence.partition(":")[0]) < 15 else sentence.partition(":")[0]


def draw_rooms() -> None:
    """Write docs/images/architecture-rooms.png."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    by_name = {contract["name"]: contract for contract in contracts}
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["nucseg"])
    without_kedro = set(by_name["Only Kedro's own rooms import Kedro"]["source_modules"])
    numbers = set(by_name["Numbers and masks need no deep-learning framework"]["source_modules"])

    left, width, high, step = 0.7, 7.9, 0.72, 0.87
    figure, axes = sheet(left + width + 0.15, 0.75 + step * len(layers))
    for text, x, colour in (
        ("may import Kedro", left, FIRST),
        ("no Kedro", left + 2.3, PLAIN),
        ("no Kedro, no deep-learning framework", left + 3.8, SECOND),
    ):
        box(axes, (x, 0.2, 0.25, 0.25), colour)
        axes.text(x + 0.35, 0.33, text, va="center", fontsize=9)
    for row, layer in enumerate(layers):
        rooms = layer.replace("(", "").replace(")", "").replace("|", ":").split(":")
        each = width / len(rooms)
        for column, room in enumerate(name.strip() for name in rooms):
            module = f"nucseg.{room}"
            colour = SECOND if module in numbers else PLAIN if module in without_kedro else FIRST
            x, y = left + column * each, 0.7 + row * step
            box(axes, (x, y, each - 0.15, high), colour)
            lines = textwrap.wrap(purpose(room), int((each - 0.25) * 16.5))
            axes.text(x + each / 2 - 0.07, y + 0.18, room, ha="center", va="center", fontsize=10, weight="bold")
            axes.text(x + each / 2 - 0.07, y + 0.49, "\n".join(lines), ha="center", va="center", fontsize=7.5)
    arrow(axes, (0.45, 0.75), (0.45, 0.6 + step * len(layers)))
    axes.text(0.2, 0.7 + step * len(layers) / 2, "imports run down only", rotation=90, va="center", fontsize=10)
    figure.savefig(IMAGES / "architecture-rooms.png")


def stored() -> dict[str, str]:
    """Return the folder below `data` of each dataset of the catalog; `{model}.` is left out of names."""
    catalog = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text("utf-8"))
    places = {}
    for name, entry in catalog.items():
        path = entry.get("filepath") or entry.get("path")
        if path:
            places[name.replace("{model}.", "")] = path.split("/")[1]
    return places


def cells() -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return what each pipeline reads (`in`) and writes (`out`) in each folder, by (pipeline, folder)."""
    pipelines: dict[str, Any] = register_pipelines()
    places = stored()
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for stage in STAGES:
        made = pipelines[stage].all_outputs()
        for kind, names in (("in", pipelines[stage].all_inputs() - made), ("out", made)):
            for name in sorted(names):
                short = name.removeprefix(MODEL)
                if short in places:
                    found.setdefault((stage, places[short]), {"in": [], "out": []})[kind].append(short)
    # Folders that a node is given to write into; and a model that is named by a parameter.
    found["data_download", "01_raw"] = {"in": [], "out": ["archives"]}
    found["model_training", "06_models"] = {"in": [], "out": ["model"]}
    found["inference", "06_models"] = {"in": ["model"], "out": []}
    found["inference", "07_model_output"] = {"in": [], "out": ["inference_results", "inference_summary"]}
    return found


def draw_data() -> None:
    """Write docs/images/architecture-data.png."""
    found = cells()
    folders = sorted({folder for _, folder in found})
    left, top, width, height = 1.4, 1.2, 1.46, 0.9
    figure, axes = sheet(left + width * len(STAGES) + 0.1, top + height * len(folders) + 0.1)
    for text, x, colour in (("reads", left, FIRST), ("writes", left + 1.0, SECOND)):
        box(axes, (x, 0.12, 0.25, 0.25), colour)
        axes.text(x + 0.35, 0.25, text, va="center", fontsize=9)
    for row, folder in enumerate(folders):
        y = top + row * height
        axes.axhspan(y, y + height, color="#F4F4F4" if row % 2 else "white", zorder=0)
        axes.text(0.1, y + height / 2, f"data/\n{folder}", va="center", fontsize=9, family="monospace")
        columns = [column for column, stage in enumerate(STAGES) if (stage, folder) in found]
        middle = y + height / 2
        for start, end in pairwise(columns):
            written = {name for stage in STAGES[:end] for name in found.get((stage, folder), {"out": []})["out"]}
            if written & set(found[STAGES[end], folder]["in"]):
                arrow(axes, (left + (start + 1) * width - 0.05, middle), (left + end * width + 0.05, middle), "#888888")
    for column, stage in enumerate(STAGES):
        x = left + column * width
        box(axes, (x + 0.05, 0.5, width - 0.1, 0.55), PLAIN)
        axes.text(
            x + width / 2, 0.78, stage.replace("_", "_\n", 1), ha="center", va="center", fontsize=9, weight="bold"
        )
        rows = [row for row, folder in enumerate(folders) if (stage, folder) in found]
        for start, end in pairwise(rows):
            arrow(axes, (x + width / 2, top + (start + 1) * height - 0.1), (x + width / 2, top + end * height + 0.1))
        for row in rows:
            parts = [part for part in zip(found[stage, folders[row]].values(), (FIRST, SECOND), strict=True) if part[0]]
            part_height = (height - 0.2) / len(parts)
            for number, (names, colour) in enumerate(parts):
                y = top + row * height + 0.1 + number * part_height
                box(axes, (x + 0.05, y, width - 0.1, part_height), colour)
                text = textwrap.fill(", ".join(names), 22)
                axes.text(x + width / 2, y + part_height / 2, text, ha="center", va="center", fontsize=7.5)
    figure.savefig(IMAGES / "architecture-data.png")


if __name__ == "__main__":
    draw_rooms()
    draw_data()
