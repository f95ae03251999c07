"""How fast `nucseg predict` is and how much memory it takes, beside stock StarDist with the same weights.

python benchmarks/predict.py --model stardist --sizes 1000 2000 5000 10000 20000

Squares are mosaics of the real image that the `stardist` package ships, turned and mirrored. Each measurement is a
process of its own, so that its peak memory is its own; loading the model and a first small prediction are not counted,
reading the image and, for nucseg, writing the label image are. `plain` is nucseg without the head that refines borders:
the very network that stock StarDist runs, and the same nuclei. Needs Linux.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
STOCK = {"predict_instances": range(5001), "predict_instances_big": range(2048, 10_001)}
"""The sides that the package's functions are measured on: no block may be larger than the image, and memory ends."""
LARGEST_COMPARED = 5000


def write_mosaic(path: Path, side: int) -> None:
    """Write a square of turned and mirrored copies of the demonstration's image, row of copies by row of copies."""
    import tifffile
    from stardist.data import test_image_nuclei_2d

    image = test_image_nuclei_2d()
    versions = [np.rot90(image, turns)[:, ::step] for turns in range(4) for step in (1, -1)]
    pixels = tifffile.memmap(path, shape=(side, side), dtype=image.dtype, bigtiff=True)
    generator = np.random.default_rng(0)
    for top in range(0, side, 512):
        for left in range(0, side, 512):
            part = pixels[top : top + 512, left : left + 512]
            part[...] = versions[generator.integers(8)][: part.shape[0], : part.shape[1]]
    pixels.flush()


def plain_model(model: Path, folder: Path) -> None:
    """Write the model without its foreground head."""
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.stardist.model import StarDist

    bundle = ModelBundle.load(model)
    plain = StarDist(bundle.segmenter.config.model_copy(update={"refine_radius": 0}))
    plain.network.set_weights(bundle.segmenter.polygon_model.get_weights())
    plain.thresholds = bundle.segmenter.thresholds
    ModelBundle("plain", plain, bundle.transforms, bundle.run).save(folder)


def ours(model: Path, image: Path, output: Path, workers: int) -> dict[str, Any]:
    """Measure `nucseg predict` with label images as its output."""
    from nucseg.batch.predict import BatchOptions, predict_images
    from nucseg.inference.cluster import DaskEngine, connected
    from nucseg.inference.engine import LocalEngine
    from nucseg.inference.predictor import Predictor

    predictor = Predictor.load(model, scale=1.0)
    predictor.predict(np.random.default_rng(0).integers(0, 999, (512, 512), np.uint16))

    def run(engine: Any) -> dict[str, Any]:
        started = time.perf_counter()
        options = BatchOptions(overwrite=True)
        (outcome,) = predict_images([str(image)], output, predictor, engine, options, model=model)
        if outcome.error:
            raise SystemExit(outcome.error)
        return {"seconds": time.perf_counter() - started, "nuclei": outcome.nuclei, "labels": str(outcome.files[0])}

    if workers == 1:
        return run(LocalEngine(predictor.bundle.segmenter))
    with connected(workers, None) as client:
        engine = DaskEngine(client, model, predictor)
        client.run(_warm, engine._run, str(model), predictor.precision)
        measured = run(engine)
        measured["workers_gib"] = sum(client.run(_peak).values())
        return measured


def _warm(run: str, model: str, precision: Any) -> None:
    from nucseg.inference import cluster

    cluster._predictor(run, model, precision).predict(np.random.default_rng(0).integers(0, 999, (512, 512), np.uint16))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def stock(model: Path, image: Path, output: Path, function: str) -> dict[str, Any]:
    """Measure a function of the package with the same weights, thresholds and normalisation, in float32."""
    import tifffile
    from stock import stock_stardist

    from nucseg.inference.predictor import Predictor

    predictor = Predictor.load(model, scale=1.0, precision="float32")
    segmenter = predictor.bundle.segmenter
    package, options = stock_stardist(segmenter)
    # The package leaves out what is proposed within two cells of the border; without that both see the same.
    options["predict_kwargs"] = {"b": 0}
    package.predict_instances(np.zeros((512, 512, segmenter.in_channels), np.float32), **options)
    started = time.perf_counter()
    pixels = tifffile.imread(image)
    prepared = predictor.bundle.preprocessor().fit(pixels).image(pixels)
    if function == "predict_instances_big":
        blocks = {"block_size": 2048, "min_overlap": 128, "context": 128, "show_progress": False}
        labels, _ = package.predict_instances_big(prepared, axes="YXC", **blocks, **options)
    else:
        labels, _ = package.predict_instances(prepared, **options)
    seconds = time.perf_counter() - started
    path = output / f"{function}.npy"
    np.save(path, labels)
    return {"seconds": seconds, "nuclei": int(np.count_nonzero(np.unique(labels))), "labels": str(path)}


def agreement(first: str, second: str) -> float:
    """Give f1 at IoU 0.9 between two label images."""
    import tifffile
    from stardist.matching import matching

    one, other = (np.load(path) if path.endswith(".npy") else tifffile.imread(path) for path in (first, second))
    return float(matching(one.astype(np.int32), other.astype(np.int32), thresh=0.9).f1)


def measure(kind: str, model: Path, image: Path, output: Path, workers: int) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", kind, "--model", str(model), "--image", str(image)]
    command += ["--output", str(output), "--workers", str(workers)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000, 5000, 10_000, 20_000])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--image", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    from nucseg.models.registry import resolve_model

    model = resolve_model(given.model).absolute()
    if given.measure:
        if given.measure.startswith("predict_instances"):
            measured = stock(model, given.image, given.output, given.measure)
        else:
            measured = ours(model, given.image, given.output, given.workers)
        print(json.dumps({**measured, "gib": _peak()}))
        return
    print("| side | what | megapixels/s | times stock | peak GiB | nuclei | f1 at IoU 0.9 |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plain_model(model, work / "plain")
        for side in given.sizes:
            image = work / f"mosaic{side}.tif"
            write_mosaic(image, side)
            runs: list[tuple[str, str, Path, int]] = [
                (kind, kind, model, 1) for kind, sides in STOCK.items() if side in sides
            ]
            runs += [
                ("nucseg, plain", "plain", work / "plain", 1),
                ("nucseg", "ours", model, 1),
                ("nucseg, 2 workers", "ours", model, 2),
            ]
            base: dict[str, Any] | None = None
            for what, kind, used, workers in runs:
                output = work / f"out-{kind}-{workers}"
                output.mkdir(exist_ok=True)
                found = measure(kind, used, image, output, workers)
                base = base or (found if kind == "predict_instances" else None)
                ratio = f"{base['seconds'] / found['seconds']:.2f}" if base else ""
                same = f"{agreement(base['labels'], found['labels']):.4f}" if base and side <= LARGEST_COMPARED else ""
                gib = found["gib"] + found.get("workers_gib", 0)
                speed = side**2 / 1e6 / found["seconds"]
                print(
                    f"| {side} | {what} | {speed:.2f} | {ratio} | {gib:.2f} | {found['nuclei']} | {same} |", flush=True
                )
            image.unlink()


if __name__ == "__main__":
    main()
