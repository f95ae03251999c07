"""Train StarDist and Mask R-CNN on a GPU machine without TensorFlow: Keras on JAX, patches prepared in processes.

    python benchmarks/train_on_gpu.py pack SAMPLES.csv PACK         # images of the train and val split, and the trunk
    python benchmarks/train_on_gpu.py fit PACK OUT JOB:PROCESSES:MINUTES... --lanes 4 --minutes 8     # on the GPU machine
    python benchmarks/train_on_gpu.py take OUT/JOB.npz SAMPLES.csv FOLDER [--weights ema]    # thresholds, model folder

Patches, augmentation, targets, networks, losses and the optimiser are those of `kedro run`; what differs is the
backend, and that the running mean of the weights (`ema`) is kept beside the last ones. The shipped models were trained
with the jobs `stardist` and `mask_rcnn`; the others are rows of the study (docs/models.md).
"""

import argparse
import json
import lzma
import math
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

cv2.setNumThreads(1)  # threads would not survive the fork, and whoever needs them would wait for ever

for _reader in ("imagecodecs", "pycocotools", "roifile", "pooch", "bioimageio"):
    if find_spec(_reader) is None:  # images come from the pack, not from files
        sys.modules[_reader] = MagicMock()

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.types import Sample
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize
from nucseg.training import patches
from nucseg.training.config import SamplingConfig, TrainingConfig

CONF = Path(__file__).parents[1] / "conf/base/parameters"
SLOTS = 3  # batches that a process may be ahead
EMA = 0.999


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        says: How it differs from the recipe.
        architecture: Of the model, beside the defaults.
        training: Beside `conf/base`.
        sampling: Beside `conf/base`.
        model: `stardist`, `mask_rcnn` or `unet`.
        drawn: Number of drawn images of ablation marks that are trained on instead of nuclei; a twentieth more is for
            validation.
        axis: Of the normalisation.
        augmentation: Transforms that replace those of `conf/base` of the same name.
        by_time: Whether the training lasts as long as its time limit, whatever `epochs` says.
        kept: Which weights are written: running mean, last ones, those with the best validation loss.
    """

    says: str
    architecture: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    model: str = "stardist"
    drawn: int = 0
    axis: str = "image"
    augmentation: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_time: bool = False
    kept: tuple[str, ...] = ("ema",)


# 3,000 steps of four patches of 160 pixels, as in benchmarks/study.py.
SHORT = {
    "steps_per_epoch": 250, "epochs": 12, "warmup_steps": 250, "patch_size": 160, "batch_size": 4,
    "validation_patches": 64, "learning_rate": 4e-4,
}  # fmt: skip
LONG = {"patch_size": 256, "batch_size": 16, "steps_per_epoch": 125, "epochs": 1000, "schedule": "constant",
        "validation_patches": 64}
TRUNK = {"backbone": "efficientnet_lite0", "pretrained": "imagenet", "refine_filters": 48}
UNET = {"pretrained": "imagenet"}
PIXELS = {"patch_size": 192, "learning_rate": 5e-4}
NARROW = {**TRUNK, "decoder_filters": [96, 64, 48, 32], "net_conv_after_unet": 64, "refine_filters": 16}
ALL = ("ema", "last", "best")
SIZES = {"diameters": [8, 120], "resized_share": 0.6}
LITTLE_ZOOM = {"affine": {"scale": [0.67, 1.5]}}  # sizes come from `diameters`
JOBS = {
    "trunk": Job("EfficientNet-Lite0, ImageNet weights, seed 42", TRUNK, SHORT, kept=ALL),
    "trunk-seed-43": Job("seed 43", TRUNK, {**SHORT, "seed": 43}, kept=ALL),
    "trunk-seed-44": Job("seed 44", TRUNK, {**SHORT, "seed": 44}, kept=ALL),
    "trunk-random": Job("random weights", {**TRUNK, "pretrained": None}, SHORT),
    "trunk-narrow": Job("decoder 96 to 32, features 64, foreground 16", NARROW, SHORT),
    "trunk-decoder": Job("decoder 96 to 32", {**TRUNK, "decoder_filters": [96, 64, 48, 32]}, SHORT),
    "trunk-features": Job("features 64", {**TRUNK, "net_conv_after_unet": 64}, SHORT),
    "trunk-foreground": Job("foreground 16", {**TRUNK, "refine_filters": 16}, SHORT),
    "trunk-grid-1": Job("polygons for each pixel, by depth-to-space", {**TRUNK, "grid": 1}, SHORT),
    "trunk-iou": Job("IoU of the polygons as the loss of the distances", {**TRUNK, "train_dist_loss": "iou"}, SHORT),
    "trunk-per-channel": Job("each channel normalised by itself", TRUNK, SHORT, axis="channel"),
    "trunk-sizes": Job("`diameters: [8, 120]`, `resized_share: 0.6`", TRUNK, SHORT, SIZES, augmentation=LITTLE_ZOOM),
    "stardist": Job(
        "the shipped StarDist",
        TRUNK,
        {**LONG, "patch_size": 224, "learning_rate": 7e-4},
        SIZES,
        augmentation=LITTLE_ZOOM,
        by_time=True,
        kept=ALL,
    ),
    "mask_rcnn": Job(
        "the shipped Mask R-CNN",
        {"preset": "small", "backbone": "efficientnet_lite0", "pretrained": "imagenet"},
        {**LONG, "patch_size": 224, "learning_rate": 7e-4, "weight_decay": 0.0, "clip_norm": 5.0},
        SIZES,
        model="mask_rcnn",
        augmentation=LITTLE_ZOOM,
        by_time=True,
        kept=ALL,
    ),
    "unet": Job("a U-Net for the foreground", UNET, {**LONG, **PIXELS}, model="unet", by_time=True),
    "marks": Job(
        "a U-Net for ablation marks",
        {**UNET, "classes": ["background", "mark"]},
        {**LONG, **PIXELS},
        {"balance": "none"},
        model="unet",
        drawn=400,
        by_time=True,
    ),
}  # fmt: skip


def training_config(job: Job) -> TrainingConfig:
    """Return the length, rate and seed of a job."""
    base = _conf("model_config")[_of(job)]["training"]
    return TrainingConfig.model_validate({**base, "precision": "float32", **job.training})


def sampling_config(job: Job) -> SamplingConfig:
    """Return which patches a job sees."""
    return SamplingConfig.model_validate({**_conf("model_config")[_of(job)]["sampling"], **job.sampling})


def augmenter(job: Job) -> Augmenter:
    """Return the augmentation of a job."""
    listed = _conf("data_augmentations")["data_augmentations"]["transforms"]
    changed = [{**transform, **job.augmentation.get(transform["name"], {})} for transform in listed]
    return Augmenter.from_config(AugmentationConfig.model_validate({"transforms": changed}))


def _of(job: Job) -> str:
    return "stardist" if job.model == "unet" else job.model  # the same patches


def _conf(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yml").read_text())
    return content


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
        samples.append(
            dict(image_id=str(seed), dataset="drawn_marks", split=split, modality="brightfield", height=512, width=512,
                 channels=1, image_path=Path(), label_path=Path(),
                 magnification=None, test_class=None, n_nuclei=None, median_diameter_px=None)
        )  # fmt: skip
    return {"samples": samples, "images": images}


class _Feed:
    """Batches in order, each computed by one of several processes, through shared memory.

    Args:
        item: Computes the arrays of an item from its epoch and place.
        config: Batch size, length.
        processes: How many.
    """

    def __init__(self, item: Callable[[int, int], list[NDArray]], config: TrainingConfig, processes: int) -> None:
        self._item, self._config, self._n = item, config, processes
        context = multiprocessing.get_context("fork")
        example = item(0, 0)
        self._views, self._free, self._full = [], [], []
        for _ in range(processes):
            arrays = []
            for array in example:
                shape = (SLOTS, config.batch_size, *array.shape)
                memory = context.RawArray("b", int(np.prod(shape)) * array.dtype.itemsize)
                arrays.append(np.frombuffer(memory, array.dtype).reshape(shape))
            self._views.append(arrays)
            self._free.append(context.Semaphore(SLOTS))
            self._full.append(context.Semaphore(0))
        for number in range(processes):
            context.Process(target=self._work, args=(number,), daemon=True).start()

    def _work(self, number: int) -> None:
        cv2.setNumThreads(1)
        config = self._config
        for batch in range(number, config.epochs * config.steps_per_epoch, self._n):
            epoch, step = divmod(batch, config.steps_per_epoch)
            self._free[number].acquire()
            slot = batch // self._n % SLOTS
            for place in range(config.batch_size):
                arrays = self._item(epoch, step * config.batch_size + place)
                for view, array in zip(self._views[number], arrays, strict=True):
                    view[slot, place] = array
            self._full[number].release()

    def batches(self) -> Iterator[list[NDArray]]:
        """Yield the batches; each is a copy."""
        for batch in range(self._config.epochs * self._config.steps_per_epoch):
            number, slot = batch % self._n, batch // self._n % SLOTS
            self._full[number].acquire()
            copies = [view[slot].copy() for view in self._views[number]]
            self._free[number].release()
            yield copies


def _targets(job: Job) -> Callable[[NDArray, NDArray], list[NDArray]]:
    """Return the function from a patch to the arrays that travel: half precision, and boxes for Mask R-CNN."""
    if job.model == "stardist":
        from nucseg.models.stardist.config import StarDistConfig
        from nucseg.models.stardist.targets import make_targets

        stardist = StarDistConfig.model_validate(job.architecture)
        return lambda image, truth: [a.astype(np.float16) for a in (image, *make_targets(truth, stardist))]
    if job.model == "unet":
        return lambda image, truth: [image.astype(np.float16), (truth > 0).astype(np.uint8)[..., None]]
    from nucseg.masks.boxes import boxes
    from nucseg.masks.labels import relabel
    from nucseg.models.mask_rcnn.config import MaskRCNNConfig

    n = MaskRCNNConfig.model_validate(job.architecture).max_nuclei

    def of_nuclei(image: NDArray, truth: NDArray) -> list[NDArray]:
        labels = relabel(truth)
        if labels.max() > n:
            largest = np.argsort(-np.bincount(labels.ravel())[1:], kind="stable")[:n] + 1
            labels = relabel(np.where(np.isin(labels, largest), labels, 0))
        found, padded = boxes(labels), np.zeros((n, 4), np.float32)
        padded[: len(found)] = found
        return [image.astype(np.float16), padded, labels.astype(np.int32)]

    return of_nuclei


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
    targets = _targets(job)
    for index in range(len(source)):
        source.load(index)  # before the processes are forked

    def item(epoch: int, place: int) -> list[NDArray]:
        return targets(*source.draw(np.random.default_rng((config.seed, epoch, place))))

    numbers = sorted(range(config.validation_patches), key=lambda number: number % len(plain))
    held_out = [
        targets(*plain.anywhere(n % len(plain), np.random.default_rng((config.seed, 2**32 - 1, n)))) for n in numbers
    ]
    val_x, *val_y = (np.stack(arrays) for arrays in zip(*held_out, strict=True))
    feed = _Feed(item, config, processes)
    print(f"{name}: patches ready after {time.perf_counter() - began:.0f} s", flush=True)
    _fit(name, job, config, feed, (val_x, tuple(val_y)), content["trunk"], out, began, minutes)


def _fit(name, job, config, feed, held_out, trunk, out, began, minutes) -> None:  # type: ignore[no-untyped-def]
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
        "job": name, "history": history, "seconds": time.perf_counter() - began, "steps": len(history) *
        config.steps_per_epoch, "weights": sum(a.size for a in weights["ema"]), "training": config.model_dump(),
    }  # fmt: skip
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
            code = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT).returncode
        tail = (out / f"{name}.log").read_text().splitlines()[-3 if not code else -25 :]
        print(f"--- {name}: {code}", *tail, sep="\n", flush=True)

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(run, jobs))


def take(weights_file: Path, samples_csv: Path, folder: Path, which: str) -> None:
    """Choose the thresholds of trained weights on the val split, and write the model folder with its record."""
    from nucseg.datasets.manifest import read_manifest
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.registry import create_model
    from nucseg.models.run import create_run_record, data_digest
    from nucseg.tasks import instances
    from nucseg.training.train import tune_thresholds

    name = weights_file.stem
    job, record = JOBS[name], json.loads(weights_file.with_suffix(".json").read_text())
    config = training_config(job)
    samples = read_manifest(samples_csv)
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
        device="NVIDIA H100 or H200, Keras on JAX",
        history=record["history"],
        data_sha256=data_digest(used),
        parent_run=None,
    )
    bundle = tune_thresholds(ModelBundle(job.model, model, transforms, run), samples, instances.training())
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
