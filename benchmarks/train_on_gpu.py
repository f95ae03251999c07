"""Train models on a GPU machine without TensorFlow: Keras on JAX, patches prepared in processes.

    python benchmarks/train_on_gpu.py pack SAMPLES.csv PACK         # images of the train and val split, and the trunk
    python benchmarks/train_on_gpu.py fit PACK OUT JOB:PROCESSES:MINUTES... --minutes 8   # on the GPU machine
    python benchmarks/train_on_gpu.py take OUT/JOB.npz SAMPLES.csv FOLDER [--weights ema]   # thresholds, model folder

Patches, augmentation, targets, networks, losses and the optimiser are those of `kedro run`; what differs is the
backend, and that the running mean of the weights (`ema`) is kept beside the last ones. The shipped `unet` and `marks`
were trained with the jobs of these names; others are rows of the study (docs/models.md).
"""

import argparse
import json
import lzma
import math
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gpu_absent  # noqa: F401 - first
import numpy as np
from gpu_feed import Feed, make_targets_of
from gpu_jobs import JOBS, Job, augmenter, sampling_config, training_config
from numpy.typing import NDArray

from nucseg.core.types import Sample
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize
from nucseg.training import patches
from nucseg.training.held_out import held_out_patches

EMA = 0.999


def pack(samples_csv: Path, out: Path) -> None:
    """Write the images of the train and val split, and the trunk's ImageNet weights, as one compressed file."""
    from nucseg.datasets.manifest import read_manifest
    from nucseg.images.io import read_image, read_labels
    from nucseg.models.backbones.efficientnet_lite import build_trunk, take_imagenet

    trunk = build_trunk(3, 16)
    take_imagenet(trunk)
    samples = [sample for sample in read_manifest(samples_csv) if sample.split in ("train", "val")]
    images = [(read_image(sample.image_path), read_labels(sample.label_file())) for sample in samples]
    narrow = [(image, labels.astype(np.uint16)) for image, labels in images]
    content = pickle.dumps({"samples": [asdict(sample) for sample in samples], "images": narrow,
                            "trunk": trunk.get_weights()})  # fmt: skip
    out.write_bytes(lzma.compress(content, preset=4))


def _draw(count: int) -> dict[str, Any]:
    """Draw images of ablation marks, and list them as samples."""
    from nucseg.datasets.drawn_marks.draw import draw_marks

    images, samples = [], []
    for seed in range(count + count // 20):
        images.append(draw_marks(seed))
        split = "train" if seed < count else "val"
        facts = {"image_id": str(seed), "dataset": "drawn_marks", "split": split, "modality": "brightfield"}
        shape = {"height": 512, "width": 512, "channels": 1, "image_path": Path(), "label_path": Path()}
        unknown = dict.fromkeys(("magnification", "test_class", "n_nuclei", "median_diameter_px"))
        samples.append({**facts, **shape, **unknown})
    return {"samples": samples, "images": images}


def fit(pack_file: Path, out: Path, name: str, processes: int, minutes: float) -> None:
    """Train one job; write `OUT/NAME.npz` (weights `last0`…, `ema0`…, `best0`…) and `OUT/NAME.json` (the history)."""
    began = time.perf_counter()
    job, content = JOBS[name], pickle.loads(lzma.decompress(pack_file.read_bytes()))
    config = training_config(job)
    samples = [Sample(**each) for each in content["samples"]]
    if job.drawn:
        content |= _draw(job.drawn)
        samples = [Sample(**each) for each in content["samples"]]
    read = {sample.key: image for sample, image in zip(samples, content["images"], strict=True)}
    patches.read_image = lambda path: read[path][0]  # type: ignore[assignment]
    patches.read_labels = lambda path: read[path][1].astype(np.int32)  # type: ignore[assignment]
    samples = [Sample(**{**asdict(s), "image_path": s.key, "label_path": s.key}) for s in samples]
    by_split = {split: [s for s in samples if s.split == split] for split in ("train", "val")}
    preprocessor = Preprocessor((Normalize(axis=job.axis),), 3)
    source = patches.make_patches(
        by_split["train"], preprocessor, augmenter(job), config.model_copy(update={"cache_mb": 8192}),
        sampling_config(job), held_out=False,
    )  # fmt: skip
    plain = patches.make_patches(by_split["val"], preprocessor, None, config, sampling_config(job), held_out=True)
    targets = make_targets_of(job)
    for index in range(len(source)):
        source.load(index)  # before the processes are forked

    def item(epoch: int, place: int) -> list[NDArray]:
        return targets(*source.draw(np.random.default_rng((config.seed, epoch, place))))

    held_out = [targets(*patch) for patch in held_out_patches(plain, config)]
    val_x, *val_y = (np.stack(arrays) for arrays in zip(*held_out, strict=True))
    feed = Feed(item, config, processes)
    print(f"{name}: patches ready after {time.perf_counter() - began:.0f} s", flush=True)
    _fit(name, job, config, feed, (val_x, tuple(val_y)), content["trunk"], out, began, minutes)


def _fit(name, job, config, feed, held_out, trunk, out, began, minutes) -> None:  # type: ignore[no-untyped-def]
    import jax
    import keras

    from nucseg.training.optimizer import make_optimizer

    keras.utils.set_random_seed(config.seed)
    _initialise_by_numpy(keras, config.seed)
    network = _build(job, trunk)
    print(f"{name}: network built after {time.perf_counter() - began:.0f} s", flush=True)
    optimizer = make_optimizer(config)
    optimizer.use_ema, optimizer.ema_momentum, optimizer.ema_overwrite_frequency = True, EMA, None
    history: list[dict[str, float]] = []
    weights: dict[str, list[NDArray]] = {}

    class Keep(keras.callbacks.Callback):
        """Keeps weights and scores of the epochs, and stops in time."""

        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if job.by_time:  # the length follows from the time limit: warm up, then decay as a cosine
                done = (time.perf_counter() - fitted) / (minutes * 60 - (fitted - began))
                rate = (epoch + 1) / 4 if epoch < 3 else 0.5 + 0.5 * math.cos(math.pi * min(done, 1.0))
                optimizer.learning_rate = config.learning_rate * rate

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            numbers = {key: float(value) for key, value in (logs or {}).items()}
            weights["last"] = network.get_weights()
            if "val_loss" in numbers and numbers["val_loss"] <= min(
                [h["val_loss"] for h in history if "val_loss" in h], default=math.inf
            ):
                weights["best"] = weights["last"]
            history.append({"epoch": epoch + 1, "seconds": time.perf_counter() - began, **numbers})
            if epoch < 2 or (epoch + 1) % 10 == 0:
                print(name, {key: round(value, 4) for key, value in history[-1].items()}, flush=True)
            per_epoch = (time.perf_counter() - fitted) / (epoch + 1)
            self.model.stop_training = time.perf_counter() - began + per_epoch > minutes * 60

    _compile(job, network, optimizer)
    fitted = time.perf_counter()
    every = 8 if job.by_time else 1
    network.fit(
        ((x, tuple(y)) for x, *y in feed.batches()),
        steps_per_epoch=config.steps_per_epoch,
        epochs=config.epochs,
        validation_data=held_out,
        validation_batch_size=config.batch_size,
        validation_freq=every,
        callbacks=[Keep()],
        verbose=0,
    )
    weights["ema"] = network.get_weights()  # Keras overwrites them at the end
    arrays = {
        f"{which}{n}": array.astype(np.float16)  # half as large to bring home, and as good
        for which, found in weights.items()
        if which in job.kept
        for n, array in enumerate(found)
    }
    np.savez(out / f"{name}.npz", **arrays)
    record = {
        "job": name,
        "device": f"{jax.devices()[0].device_kind}, Keras on JAX",
        "seconds": time.perf_counter() - began,
        "steps": len(history) * config.steps_per_epoch,
        "training": config.model_dump(),
        "history": history,
    }
    (out / f"{name}.json").write_text(json.dumps(record))
    print(f"{name}: {record['steps']} steps in {record['seconds']:.0f} s", flush=True)


def _initialise_by_numpy(keras: Any, seed: int) -> None:
    """Draw initial weights with NumPy: JAX compiles a program for each shape, which takes longer than a short job."""
    rng = np.random.default_rng(seed)

    def glorot(self: Any, shape: tuple[int, ...], dtype: Any = None) -> NDArray:
        field = math.prod(shape[:-2])
        limit = math.sqrt(6 / (field * sum(shape[-2:]))) if len(shape) > 1 else 0.0
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    keras.initializers.GlorotUniform.__call__ = glorot
    keras.initializers.Zeros.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype or "float32")


def _build(job: Job, trunk: list[NDArray] | None) -> Any:
    """Build the network of a job; the trunk with the given weights where the job asks for ImageNet's."""
    if job.model == "stardist":
        from nucseg.models.stardist.config import StarDistConfig
        from nucseg.models.stardist.network import build_network

        network = build_network(StarDistConfig.model_validate(job.architecture)).model
        holder = network
    elif job.model == "unet":
        from nucseg.models.unet.config import UNetConfig
        from nucseg.models.unet.network import build_network as build_unet

        network = holder = build_unet(UNetConfig.model_validate(job.architecture))
    else:
        from nucseg.models.mask_rcnn.config import MaskRCNNConfig
        from nucseg.models.mask_rcnn.network import MaskRCNN
        from nucseg.models.mask_rcnn.sampling import IGNORED, POSITIVE, match

        class Matching(MaskRCNN):
            """Mask R-CNN that matches anchors and nuclei on the GPU."""

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
                from keras import ops

                from nucseg.models.mask_rcnn.boxes import pairwise_iou
                from nucseg.models.mask_rcnn.network import IGNORED_ANCHOR, NEGATIVE_ANCHOR

                found, labels = y
                anchors = ops.convert_to_tensor(self.anchors((int(x.shape[1]), int(x.shape[2]))))
                iou = pairwise_iou(ops.cast(found, "float32"), anchors[None])
                matches, kinds = match(iou, self.config.rpn_low, self.config.rpn_high, force=True)
                others = ops.where(kinds == IGNORED, IGNORED_ANCHOR, NEGATIVE_ANCHOR)
                matched = ops.cast(ops.where(kinds == POSITIVE, matches, others), "int32")
                return super().compute_loss(x, (found, labels, matched), y_pred, sample_weight, training)

        network = Matching(MaskRCNNConfig.model_validate(job.architecture))
        holder = network.pyramid
    if job.architecture.get("pretrained") == "imagenet" and trunk is not None:
        holder.get_layer("trunk").set_weights(trunk)
    return network


def _compile(job: Job, network: Any, optimizer: Any) -> None:
    if job.model == "mask_rcnn":
        network.compile(optimizer)
        return
    if job.model == "unet":
        from nucseg.models.semantic.loss import CrossEntropyAndJaccard
        from nucseg.models.unet.config import UNetConfig

        network.compile(optimizer, CrossEntropyAndJaccard(UNetConfig.model_validate(job.architecture).jaccard_weight))
        return
    from nucseg.models.stardist.config import StarDistConfig
    from nucseg.models.stardist.losses import distance_loss

    config = StarDistConfig.model_validate(job.architecture)
    distances = distance_loss(config.train_dist_loss, config.train_background_reg)
    network.compile(
        optimizer,
        loss=["binary_crossentropy", distances, "binary_crossentropy"],
        loss_weights=list(config.train_loss_weights),
    )


def fit_all(pack_file: Path, out: Path, jobs: list[str], lanes: int, minutes: float) -> None:
    """Train jobs in processes of their own, several at once; what does not begin in time is left out."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                   "OMP_NUM_THREADS": "1", "JAX_COMPILATION_CACHE_DIR": "/tmp/jaxcache"}  # fmt: skip

    def run(job: str) -> None:
        name, processes, own = [*job.split(":"), "", ""][:3]
        left = min(minutes - (time.perf_counter() - began) / 60, float(own or minutes))
        if left < 0.5:
            print(f"{name}: no time left", flush=True)
            return
        command = [sys.executable, __file__, "one", str(pack_file), str(out), name, processes or "3", f"{left:.2f}"]
        with (out / f"{name}.log").open("w") as log:
            ended = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
        tail = (out / f"{name}.log").read_text().splitlines()[-3 if not ended.returncode else -25 :]
        print(f"--- {name}: {ended.returncode}", *tail, sep="\n", flush=True)

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(run, jobs))


def _write_drawn(count: int, folder: Path) -> list[Sample]:
    """Draw the images of ablation marks again, into a folder: a record names what a model has seen by its content."""
    from nucseg.images.io import write_image, write_labels

    drawn, samples = _draw(count), []
    folder.mkdir(parents=True, exist_ok=True)
    for facts, (image, mask) in zip(drawn["samples"], drawn["images"], strict=True):
        paths = [folder / f"{facts['image_id']}.{kind}.tif" for kind in ("image", "mask")]
        write_image(paths[0], image)
        write_labels(paths[1], mask.astype(np.int32))
        samples.append(Sample(**{**facts, "image_path": paths[0], "label_path": paths[1]}))
    return samples


def take(weights_file: Path, samples_csv: Path, folder: Path, which: str) -> None:
    """Choose the thresholds of trained weights on the val split, and write the model folder with its record.

    Args:
        weights_file: What `fit` wrote.
        samples_csv: The manifest; where images were drawn, the folder that they are written to.
        folder: The model's.
        which: `ema`, `last` or `best`.
    """
    from nucseg.datasets.manifest import read_manifest
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.registry import create_model
    from nucseg.models.run import create_run_record, data_digest
    from nucseg.tasks import instances, semantic
    from nucseg.training.train import tune_thresholds

    name = weights_file.stem
    job, record = JOBS[name], json.loads(weights_file.with_suffix(".json").read_text())
    config = training_config(job)
    samples: Sequence[Sample] = _write_drawn(job.drawn, samples_csv) if job.drawn else read_manifest(samples_csv)
    used = [sample for split in ("train", "val") for sample in samples if sample.split == split]
    model = create_model(job.model, {**job.architecture, "pretrained": None})
    with np.load(weights_file) as arrays:
        n = sum(key.startswith(which) for key in arrays)
        model.keras_model.set_weights([arrays[f"{which}{number}"].astype(np.float32) for number in range(n)])
    transforms = (Normalize(axis=job.axis),)
    settings = {
        "model": job.architecture,
        "sampling": sampling_config(job).model_dump(mode="json"),
        "training": {**config.model_dump(mode="json"), "weights": which, "ema": EMA, "backend": "jax"},
        "preprocessing": [transform.model_dump(mode="json") for transform in transforms],
        "augmentation": augmenter(job).to_dict(),
    }
    run = create_run_record(
        used,
        parameters=settings,
        seed=config.seed,
        precision="float32",
        device=record["device"],
        history=record["history"],
        data_sha256=data_digest(used),
        parent_run=None,
    )
    task = semantic if job.model == "unet" else instances
    bundle = tune_thresholds(
        ModelBundle(name if job.drawn else job.model, model, transforms, run), samples, task.training()
    )
    bundle.save(folder)
    scores = bundle.run.content()["validation"]
    print(json.dumps({"job": name, "weights": which, **scores}))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("pack")
    one.add_argument("samples", type=Path)
    one.add_argument("pack", type=Path)
    one = commands.add_parser("fit")
    one.add_argument("pack", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("jobs", nargs="+", metavar="JOB[:PROCESSES[:MINUTES]]", help=", ".join(JOBS))
    one.add_argument("--lanes", type=int, default=4, help="trainings at once")
    one.add_argument("--minutes", type=float, default=8, help="time limit of all")
    one = commands.add_parser("one")
    one.add_argument("pack", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("job", choices=JOBS)
    one.add_argument("processes", type=int)
    one.add_argument("minutes", type=float)
    one = commands.add_parser("take")
    one.add_argument("weights_file", type=Path)
    one.add_argument("samples", type=Path)
    one.add_argument("folder", type=Path)
    one.add_argument("--weights", choices=("last", "ema", "best"), default="ema")
    given = parser.parse_args()
    if given.command == "pack":
        pack(given.samples, given.pack)
    elif given.command == "fit":
        fit_all(given.pack, given.out, given.jobs, given.lanes, given.minutes)
    elif given.command == "one":
        fit(given.pack, given.out, given.job, given.processes, given.minutes)
    else:
        take(given.weights_file, given.samples, given.folder, given.weights)


if __name__ == "__main__":
    main()
