"""Compare the speed and memory of `nucseg predict` with stock StarDist, with the same weights or those of a U-Net.

python benchmarks/predict.py --model stardist [--stock U_NET] --sizes 1000 2000 5000 10000 20000

Squares are mosaics of the real image that the `stardist` package ships, turned and mirrored; of small ones there are
several, so that 16 megapixels or more are measured. Each measurement is a process of its own, so that its peak memory
is its own. From image files to files of label images (TIFF, zlib); loading the model is not counted, and, up to sides
of 5,000 pixels, neither is a first run over one image, in which memory is taken and code compiled. Up to there the rows
of a size are measured in turn, three times, and medians count, of `times stock` that of the three ratios: a machine
that is faster for some minutes favours none. `plain`, of a U-Net, is nucseg without the head that refines borders: the
same network that stock StarDist runs, with the same nuclei. Needs Linux.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
STOCK = {"predict_instances": range(5001), "predict_instances_big": range(2048, 20_001)}
"""The sides that the package's functions are measured on: no block may be larger than the image, and memory ends."""
SMALL = np.random.default_rng(0).integers(0, 999, (512, 512), np.uint16)
LARGEST_REPEATED = 5000
ROUNDS = 3
MEGAPIXELS = 16


def write_mosaic(path: Path, side: int, seed: int = 0) -> None:
    """Write a square of turned and mirrored copies of the demonstration's image, row of copies by row of copies."""
    import tifffile
    from stardist.data import test_image_nuclei_2d

    image = test_image_nuclei_2d()
    versions = [np.rot90(image, turns)[:, ::step] for turns in range(4) for step in (1, -1)]
    pixels = tifffile.memmap(path, shape=(side, side), dtype=image.dtype, bigtiff=True)
    generator = np.random.default_rng(seed)
    for top in range(0, side, 512):
        for left in range(0, side, 512):
            part = pixels[top : top + 512, left : left + 512]
            part[...] = versions[generator.integers(8)][: part.shape[0], : part.shape[1]]
    pixels.flush()


def plain_model(model: Path, folder: Path) -> Path | None:
    """Write a U-Net without its foreground head and return the folder; None if the model is no U-Net."""
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.stardist.model import StarDist

    bundle = ModelBundle.load(model)
    if bundle.model.config.backbone != "unet":
        return None
    plain = StarDist(bundle.model.config.model_copy(update={"refine_radius": 0}))
    plain.network.set_weights(bundle.model.polygon_model.get_weights())
    plain.thresholds = bundle.model.thresholds
    ModelBundle("plain", plain, bundle.transforms, bundle.run).save(folder)
    return folder


def timed(run: Callable[[list[Path]], None], images: list[Path], side: int) -> float:
    """Return the seconds that a run takes; for images that are not too large, after a warm-up run."""
    if side <= LARGEST_REPEATED:
        run(images[:1])
    started = time.perf_counter()
    run(images)
    return time.perf_counter() - started


def ours(model: Path, images: list[Path], output: Path, side: int, workers: int) -> dict[str, Any]:
    """Measure `nucseg predict` with label images as its output."""
    from nucseg.batch.predict import predict_images
    from nucseg.images.find import find_images
    from nucseg.inference.cluster import DaskEngine, connected
    from nucseg.inference.engine import LocalEngine
    from nucseg.inference.options import PredictOptions
    from nucseg.inference.predictor import Predictor
    from nucseg.reporting.options import BatchOptions

    predictor = Predictor.load(model, PredictOptions(scale=1.0))
    predictor.predict(SMALL)
    outcomes = []

    def measured(engine: Any) -> dict[str, Any]:
        def run(images: list[Path]) -> None:
            found = find_images([str(image) for image in images]).images
            options = BatchOptions(scale=1.0, overwrite=True)
            outcomes[:] = predict_images(found, output, predictor, engine, options, model=model)
            if outcomes[0].error:
                raise SystemExit(outcomes[0].error)

        seconds = timed(run, images, side)
        return {"seconds": seconds, "nuclei": outcomes[0].nuclei, "labels": str(outcomes[0].files[0])}

    if workers == 1:
        return measured(LocalEngine())
    with connected(workers, None) as client:
        engine = DaskEngine(client, model, predictor)
        client.run(_warm, engine._run, str(model), predictor.precision)
        found = measured(engine)
        found["workers_gib"] = sum(client.run(_peak).values())
        return found


def _warm(run: str, model: str, precision: Any) -> None:
    from nucseg.inference import cluster

    cluster._predictor(run, model, precision).predict(SMALL)


def _peak() -> float:
    """Return this process's largest memory in GiB; what `getrusage` gives begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def stock(model: Path, images: list[Path], output: Path, side: int, function: str) -> dict[str, Any]:
    """Measure a function of the package with a model's weights, thresholds and normalisation, in float32."""
    import tifffile
    from stock import stock_stardist

    from nucseg.inference.options import PredictOptions
    from nucseg.inference.predictor import Predictor

    predictor = Predictor.load(model, PredictOptions(scale=1.0, precision="float32"))
    segmenter = predictor.bundle.model
    package, options = stock_stardist(segmenter)
    # The package leaves out proposals within two cells of the border; without this both see the same.
    options["predict_kwargs"] = {"b": 0}
    blocks = {"block_size": 2048, "min_overlap": 128, "context": 128, "show_progress": False}
    package.predict_instances(np.zeros((512, 512, segmenter.in_channels), np.float32), **options)

    def run(images: list[Path]) -> None:
        for image in images:
            pixels = tifffile.imread(image)
            prepared = predictor.bundle.preprocessor().fit(pixels).image(pixels)
            if function == "predict_instances_big":
                labels, _ = package.predict_instances_big(prepared, axes="YXC", **blocks, **options)
            else:
                labels, _ = package.predict_instances(prepared, **options)
            tifffile.imwrite(output / image.name, labels, compression="zlib")

    seconds = timed(run, images, side)
    labels = output / images[0].name
    nuclei = int(tifffile.imread(labels).max())
    return {"seconds": seconds, "nuclei": nuclei, "labels": str(labels)}


def agreement(first: str, second: str) -> float:
    """Return f1 at IoU 0.9 between two label images; pairs of such an IoU are one to one."""
    import tifffile

    from nucseg.metrics.instances.overlap import overlaps

    found = overlaps(tifffile.imread(first), tifffile.imread(second))
    return 2 * np.count_nonzero(found.iou >= 0.9) / (len(found.true_labels) + len(found.pred_labels))


def measure(kind: str, model: Path, images: list[Path], output: Path, side: int, workers: int) -> dict[str, Any]:
    """Run one measurement in a separate process."""
    command = [sys.executable, __file__, "--measure", kind, "--model", str(model), "--sizes", str(side)]
    command += ["--images", *map(str, images), "--output", str(output), "--workers", str(workers)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print a table."""
    from stock import HELP, stock_folder

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--stock", help=HELP)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000, 5000, 10_000, 20_000])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=Path, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    from nucseg.models.registry import resolve_model

    model = resolve_model(given.model).absolute()
    if given.measure:
        if given.measure.startswith("predict_instances"):
            measured = stock(model, given.images, given.output, given.sizes[0], given.measure)
        else:
            measured = ours(model, given.images, given.output, given.sizes[0], given.workers)
        print(json.dumps({**measured, "gib": _peak()}))
        return
    print("| side | what | megapixels/s | times stock | peak GiB | nuclei | f1 at IoU 0.9 |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plain = plain_model(model, work / "plain")
        reference = stock_folder(given.stock or given.model, work)
        for side in given.sizes:
            images = [work / f"mosaic{side}-{n}.tif" for n in range(max(1, round(MEGAPIXELS * 1e6 / side**2)))]
            for seed, image in enumerate(images):
                write_mosaic(image, side, seed)
            runs: list[tuple[str, str, Path, int]] = [
                *((kind, kind, reference, 1) for kind, sides in STOCK.items() if side in sides),
                *([("nucseg, plain", "plain", plain, 1)] if plain else []),
                ("nucseg", "ours", model, 1),
                *([("nucseg, 2 workers", "ours", model, 2)] if side <= LARGEST_REPEATED else []),
            ]
            rounds = ROUNDS if side <= LARGEST_REPEATED else 1
            found: dict[str, list[dict[str, Any]]] = {what: [] for what, *_ in runs}
            for _ in range(rounds):
                for what, kind, used, workers in runs:
                    output = work / f"out-{kind}-{workers}"
                    output.mkdir(exist_ok=True)
                    found[what].append(measure(kind, used, images, output, side, workers))
            base = found[runs[0][0]]
            for what, measured in found.items():
                ratio = statistics.median(b["seconds"] / m["seconds"] for b, m in zip(base, measured, strict=True))
                megapixels = len(images) * side**2 / 1e6
                speed = megapixels / statistics.median(each["seconds"] for each in measured)
                gib = max(each["gib"] + each.get("workers_gib", 0) for each in measured)
                last = measured[-1]
                same = f"{agreement(base[-1]['labels'], last['labels']):.4f}"
                print(
                    f"| {side} | {what} | {speed:.2f} | {ratio:.2f} | {gib:.2f} | {last['nuclei']} | {same} |",
                    flush=True,
                )
            for image in images:
                image.unlink()


if __name__ == "__main__":
    main()
