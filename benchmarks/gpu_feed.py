"""Batches of patches for benchmarks/train_on_gpu.py, prepared by processes through shared memory."""

import multiprocessing
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from gpu_jobs import Job
from numpy.typing import NDArray

from nucseg.training.config import TrainingConfig

SLOTS = 3  # batches that a process may be ahead
PARTS_OF_PIXEL = 64  # in which the distances of StarDist travel

cv2.setNumThreads(1)  # threads would not survive the fork, and whoever needs them would wait for ever


class Feed:
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
        self._processes = [context.Process(target=self._work, args=(n,), daemon=True) for n in range(processes)]
        for process in self._processes:
            process.start()

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()

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
        """Yield the batches; each is overwritten once the next one is asked for, so it must be copied before."""
        for batch in range(self._config.epochs * self._config.steps_per_epoch):
            number, slot = batch % self._n, batch // self._n % SLOTS
            self._full[number].acquire()
            yield [view[slot] for view in self._views[number]]
            self._free[number].release()


def make_targets_of(job: Job) -> Callable[[NDArray], list[NDArray]]:
    """Return the function from a label image to the targets that travel, in few bytes: boxes for Mask R-CNN."""
    if job.model == "stardist":
        from nucseg.models.stardist.config import StarDistConfig
        from nucseg.models.stardist.targets import make_targets

        stardist = StarDistConfig.model_validate(job.architecture)

        def of_rays(truth: NDArray) -> list[NDArray]:
            probability, distances, *maps = make_targets(truth, stardist)
            # Whole numbers, since NumPy converts to half precision slowly; the weights are the probability again.
            parts = (distances[..., :-1] * PARTS_OF_PIXEL).astype(np.uint16)
            return [probability.astype(np.float16), parts, *(m.astype(np.uint8) for m in maps)]

        return of_rays
    if job.model == "unet":
        return lambda truth: [(truth > 0).astype(np.uint8)[..., None]]
    from nucseg.masks.boxes import boxes
    from nucseg.masks.labels import keep_largest_nuclei, relabel
    from nucseg.models.mask_rcnn.config import MaskRCNNConfig

    n = MaskRCNNConfig.model_validate(job.architecture).max_nuclei

    def of_nuclei(truth: NDArray) -> list[NDArray]:
        labels = keep_largest_nuclei(relabel(truth), n)
        found, padded = boxes(labels), np.zeros((n, 4), np.float32)
        padded[: len(found)] = found
        return [padded, labels.astype(np.int16)]

    return of_nuclei
