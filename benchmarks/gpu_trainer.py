"""The training steps of benchmarks/train_on_gpu.py: networks of several jobs, each on JAX."""

import math
import queue
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
from gpu_feed import PARTS_OF_PIXEL, Feed
from gpu_jobs import Job, training_config
from jax import numpy as jnp
from numpy.typing import NDArray

from nucseg.training.optimizer import make_optimizer

EMA = 0.999
AHEAD = 3  # steps that wait for the GPU


def batches_on_device(feed: Feed) -> Iterator[list[jax.Array]]:
    """Yield the batches of a feed, copied to the GPU by a thread."""
    ready: queue.Queue[list[jax.Array] | None] = queue.Queue(2)

    def copy() -> None:
        for arrays in feed.batches():
            ready.put(jax.block_until_ready([jnp.array(array) for array in arrays]))
        ready.put(None)

    threading.Thread(target=copy, daemon=True).start()
    while (batch := ready.get()) is not None:
        yield batch


class Trainer:
    """The network of one job, with its optimizer and the running mean of its weights.

    Args:
        name: Of the job.
        job: What is trained.
        out: The folder that weights are written to.
        content: Of the pack: first weights.
    """

    def __init__(self, name: str, job: Job, out: Path, content: dict[str, Any]) -> None:
        keras.config.set_dtype_policy(job.policy)
        self._name, self._job, self._out = name, job, out
        self._config = training_config(job)
        self._network = build(job, content)
        self._optimizer = make_optimizer(self._config)
        compile_network(job, self._network, self._optimizer)
        self._losses: deque[jax.Array] = deque()
        self._cycles_done = 0
        self._state: Any = None
        self._compiler = ThreadPoolExecutor(1)
        self.device = f"{jax.devices()[0].device_kind}, Keras on JAX, {job.policy}"

    def step(self, x: jax.Array, y: list[jax.Array], number: int, done: float) -> None:
        """Train on one batch; `done` is the share of the time that is over."""
        rate = self._config.learning_rate
        if self._job.by_time:  # the length follows from the time limit: warm up, then decay as a cosine
            cycle, within = divmod(done * self._job.cycles, 1)
            if cycle > self._cycles_done:
                self._end_cycle()
            rate *= min((number + 1) / self._config.warmup_steps, 0.5 + 0.5 * math.cos(math.pi * within))
        loss, self._state, self._mean = self.compiled()(self._state, self._mean, jnp.float32(rate), x, tuple(y))
        self._losses.append(loss)
        if len(self._losses) > AHEAD:
            jax.block_until_ready(self._losses[-1 - AHEAD])

    def start_compiling(self, x: jax.Array, y: list[jax.Array]) -> None:
        """Begin to compile the step for batches like this one; the first step waits for it."""
        network, optimizer = self._network, self._optimizer
        optimizer.build(network.trainable_variables)
        network._symbolic_build(data_batch=_unpacked(x, tuple(y)))
        self._state = tuple(
            [jnp.copy(variable.value) for variable in variables]
            for variables in (
                network.trainable_variables,
                network.non_trainable_variables,
                optimizer.variables,
                network.metrics_variables,
            )
        )
        self._mean = [jnp.copy(weight) for weight in self._state[0]]
        rates = [n for n, variable in enumerate(optimizer.variables) if variable is optimizer._learning_rate]
        place = rates[0] if self._job.by_time else None

        @partial(jax.jit, donate_argnums=(0, 1))
        def step(state: Any, mean: Any, rate: Any, x: Any, y: Any) -> Any:
            trained, others, of_optimizer, metrics = state
            of_optimizer = [rate if n == place else value for n, value in enumerate(of_optimizer)]
            logs, state = network.train_step((trained, others, of_optimizer, metrics), _unpacked(x, y))
            mean = [EMA * old + (1 - EMA) * new for old, new in zip(mean, state[0], strict=True)]
            return logs["loss"], state, mean

        lowered = step.lower(self._state, self._mean, jnp.float32(0), x, tuple(y))
        self._step = self._compiler.submit(lowered.compile)

    def compiled(self, seconds: float | None = None) -> Any:
        """Wait for the compiled step, at most so long, and return it."""
        return self._step.result(seconds)

    def mean_loss(self) -> float:
        """Return the mean of the loss over this epoch, which Keras keeps."""
        mean = float(self._losses[-1])
        self._losses.clear()
        return mean

    def end_of_epoch(self, epoch: int) -> None:
        """Begin a new mean of the loss, and keep the weights of the last epochs where the job asks for it."""
        *weights, metrics = self._state
        self._state = (*weights, [jnp.zeros_like(metric) for metric in metrics])
        if epoch > self._config.epochs - self._job.snapshots:
            self._write(f"epoch{epoch}", self._state[0])

    def write_kept(self) -> None:
        """Write the weights that the job keeps at its end."""
        if self._job.cycles > 1:
            self._end_cycle()
        for which, trained in (("last", self._state[0]), ("ema", self._mean)):
            if which in self._job.kept:
                self._write(which, trained)

    def _end_cycle(self) -> None:
        self._cycles_done += 1
        self._write(f"cycle{self._cycles_done}", self._mean)

    def _write(self, which: str, trained: list[jax.Array]) -> None:
        """Write weights by their places, in half precision: half as large to bring home, and as good."""
        arrays = {f"{n:03}": array.astype(np.float16) for n, array in enumerate(self._weights(trained))}
        np.savez(self._out / f"{self._name}.{which}.npz", **arrays)

    def _weights(self, trained: list[jax.Array]) -> list[NDArray]:
        """Return all weights in the order of Keras, of which some are not trained."""
        both = [*self._network.trainable_variables, *self._network.non_trainable_variables]
        values = dict(zip(map(id, both), [*trained, *self._state[1]], strict=True))
        return [np.asarray(values[id(variable)]) for variable in self._network.weights]


def _unpacked(x: Any, y: Any) -> tuple[Any, Any]:
    """Convert what travelled in few bytes to what losses expect."""
    wide = {"float16": "float32", "uint8": "float32", "uint16": "float32", "int16": "int32"}
    rays = [array.dtype == np.uint16 for array in y]
    x, *y = (array.astype(wide.get(str(array.dtype), array.dtype)) for array in (x, *y))
    y = [jnp.concatenate([part / PARTS_OF_PIXEL, y[0]], -1) if is_rays else part
         for part, is_rays in zip(y, rays, strict=True)]  # fmt: skip
    return x, tuple(y)


def depthwise_by_shifts(inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", *_: Any, **__: Any) -> Any:
    """Convolve each channel by itself, as a sum of shifted images: XLA makes one pass of it, also backwards."""
    side, stride = kernel.shape[0], strides if isinstance(strides, int) else strides[0]
    before, after, lengths = [], [], []
    for length in inputs.shape[1:3]:
        lengths.append(-(-length // stride))
        missing = max((lengths[-1] - 1) * stride + side - length, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    assert padding == "same"
    padded = jnp.pad(inputs, [(0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)])
    taps = kernel[..., 0].astype("float32")
    spans = [stride * (length - 1) + 1 for length in lengths]
    total = sum(
        padded[:, row : row + spans[0] : stride, column : column + spans[1] : stride].astype("float32")
        * taps[row, column]
        for row in range(side)
        for column in range(side)
    )
    return total.astype(inputs.dtype)


def build(job: Job, content: dict[str, Any]) -> Any:
    """Build the network of a job, with the weights that it starts from."""
    if job.shifts:
        keras.src.backend.nn.depthwise_conv = depthwise_by_shifts
    if job.model == "stardist":
        from nucseg.models.stardist.config import StarDistConfig
        from nucseg.models.stardist.network import build_network

        network = holder = build_network(StarDistConfig.model_validate(job.architecture)).model
        exact = [layer for layer in network.layers if layer.name in ("prob", "dist", "foreground_logits", "foreground")]
    elif job.model == "unet":
        from nucseg.models.unet.config import UNetConfig
        from nucseg.models.unet.network import build_network as build_unet

        network = holder = build_unet(UNetConfig.model_validate(job.architecture))
        exact = network.layers[-2:]
    else:
        network = _matching_mask_rcnn(job)
        holder = network.pyramid
        heads = (network.rpn, network.box_head, network.mask_head)
        exact = [
            layer for head in heads for layer in head.layers if layer.name in ("objectness", "box", "score", "mask")
        ]
    for layer in exact:  # what losses see
        layer.dtype_policy = "float32"
    if job.start:
        _take(network, *content["starts"][job.start], job)
    elif job.architecture.get("pretrained") == "imagenet":
        holder.get_layer("trunk").set_weights(content["trunk"])
    return network


def _take(network: Any, architecture: dict[str, Any], weights: list[NDArray], job: Job) -> None:
    """Give a network the weights of a model, which may lack a layer that the network has, or have one that it lacks."""
    other = build(replace(job, architecture=architecture, start=None), {})
    other.set_weights([array.astype(np.float32) for array in weights])
    if job.model != "mask_rcnn":
        network.set_weights(other.get_weights())
        return
    for part in ("pyramid", "rpn", "box_head", "mask_head"):
        named = {layer.name: layer for layer in getattr(other, part).layers}
        for layer in getattr(network, part).layers:
            if layer.weights:
                layer.set_weights(named[layer.name].get_weights())


def _matching_mask_rcnn(job: Job) -> Any:
    from nucseg.models.mask_rcnn.boxes import pairwise_iou
    from nucseg.models.mask_rcnn.config import MaskRCNNConfig
    from nucseg.models.mask_rcnn.network import IGNORED_ANCHOR, NEGATIVE_ANCHOR, MaskRCNN
    from nucseg.models.mask_rcnn.sampling import IGNORED, POSITIVE, match

    class Matching(MaskRCNN):
        """Mask R-CNN that matches anchors and nuclei on the GPU."""

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
            from keras import ops

            found, labels = y
            anchors = ops.convert_to_tensor(self.anchors((int(x.shape[1]), int(x.shape[2]))))
            iou = pairwise_iou(ops.cast(found, "float32"), anchors[None])
            matches, kinds = match(iou, self.config.rpn_low, self.config.rpn_high, force=True)
            others = ops.where(kinds == IGNORED, IGNORED_ANCHOR, NEGATIVE_ANCHOR)
            matched = ops.cast(ops.where(kinds == POSITIVE, matches, others), "int32")
            return super().compute_loss(x, (found, labels, matched), y_pred, sample_weight, training)

    return Matching(MaskRCNNConfig.model_validate(job.architecture))


def compile_network(job: Job, network: Any, optimizer: Any) -> None:
    """Give a network its optimizer and the losses of its kind."""
    if job.model == "mask_rcnn":
        network.compile(optimizer)
        return
    if job.model == "unet":
        from nucseg.models.semantic.loss import CrossEntropyAndJaccard
        from nucseg.models.unet.config import UNetConfig

        network.compile(optimizer, CrossEntropyAndJaccard(UNetConfig.model_validate(job.architecture).jaccard_weight))
        return
    from nucseg.models.stardist.config import StarDistConfig
    from nucseg.models.stardist.losses import output_losses

    network.compile(optimizer, **output_losses(StarDistConfig.model_validate(job.architecture)))
