"""Measure `nucseg predict` on slides of 0.25 µm per pixel: work and memory with and without the mask of the tissue.

    python benchmarks/slides.py --model stardist

The slides are written by `tests/large_slide.py`: glass with blocks of real tissue, JPEG tiles, and levels. Without the
mask, only the smaller slide is predicted: the larger one would take hours. Seconds of the processor hardly depend on
what else the machine does.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from large_slide import BLOCK, TILE, write_large_slide
from nucseg.images.io import read_image

SAMPLE = Path(__file__).parents[1] / "samples/histology.tif"


class Case(NamedTuple):
    """A slide and how it is predicted."""

    side: int
    blocks: int
    tissue: str


CASES = (Case(9_216, 1, "none"), Case(9_216, 1, "auto"), Case(100_000, 1, "auto"))


def texture() -> NDArray[np.uint8]:
    """Return tissue of a tile's size whose borders fit together, from the sample of twice the pixel size."""
    half = read_image(SAMPLE)[: TILE // 4, : TILE // 4, :3]
    whole = np.concatenate([half, half[::-1]])
    whole = np.concatenate([whole, whole[:, ::-1]], axis=1)
    return whole.repeat(2, 0).repeat(2, 1)[:TILE, :TILE]


def spread(side: int, count: int) -> list[tuple[int, int]]:
    """Return the places of blocks of tissue, in pairs, spread over a slide."""
    across = side // BLOCK
    pairs = np.random.default_rng(0).permutation(across * (across // 2))[: -(-count // 2)]
    rows, columns = np.divmod(pairs, across // 2)
    places = [(int(row), 2 * int(column) + of) for row, column in zip(rows, columns, strict=True) for of in (0, 1)]
    return places[:count]


def measured(command: list[str]) -> tuple[str, float, float]:
    """Run a command; return its output, the seconds of all processor cores, and its highest memory in GB."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{text}")
    return text, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def main(model: str) -> None:
    """Print a row for each case."""
    print("| slide, pixels | tissue, megapixels of 0.5 µm | `--tissue` | nuclei | processor seconds | memory, GB |")
    print("|---|---:|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.svs"
        for number, case in enumerate(CASES):
            write_large_slide(path, case.side, spread(case.side, case.blocks), texture(), noise=3)
            options = ["-o", f"{folder}/{number}", "--model", model, "--tissue", case.tissue, "--format", "geojson_zip"]
            text, seconds, memory = measured([sys.executable, "-m", "nucseg", "predict", str(path), *options])
            nuclei = re.findall(r"(\d+) nuclei", text)[0]
            tissue = case.blocks * (BLOCK // 2) ** 2 / 1e6
            size, count = f"{case.side:,} x {case.side:,}", f"{int(nuclei):,}"
            print(
                f"| {size} | {tissue:.0f} | {case.tissue} | {count} | {seconds:.0f} | {memory:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="stardist", help="name of a model, or its folder")
    main(parser.parse_args().model)
