"""Tiles on a Dask cluster: processes of this machine, or any number of machines."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from uuid import uuid4

import dask
from distributed import Client, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from nucseg.core.errors import ConfigError, StorageError
from nucseg.core.types import Precision
from nucseg.images.content import Content
from nucseg.images.open import open_content
from nucseg.images.plane_choice import Plane
from nucseg.images.planes import Channel
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.scenes import Scene
from nucseg.images.source import ImageSource
from nucseg.inference.engine import LocalEngine, Part, TileJob, TileSteps
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.semantic.predictor import SemanticPredictor, load_semantic
from nucseg.inference.tiles import TileGrid
from nucseg.inference.view import NetworkView
from nucseg.models.registry import folder_task

AnyPredictor = Predictor | SemanticPredictor

_RETRIES = 3
_loading = Lock()


class _Recipe(NamedTuple):
    """What a worker needs to predict any tile of an image.

    `run` differs in each run, so that a worker that outlives a run uses neither an old model nor an old image.
    """

    run: str
    model: str
    image: str
    options: PredictOptions
    fitted: FittedPreprocessor
    scale: float
    level: int
    grid: TileGrid


class DaskEngine:
    """Predicts tiles as tasks of a Dask cluster.

    A task reads its own tile, has no side effects and may run twice: if a worker dies, others repeat its work.

    Args:
        client: Client of the cluster; its workers must be able to read the model's folder and the images under the same
            names.
        model: The model's folder.
        predictor: The same model in this process.
    """

    def __init__(self, client: Client, model: Path, predictor: AnyPredictor) -> None:
        self._client = client
        self._model = model
        self._precision: Precision = predictor.precision
        self.images_at_once = 2 * max(1, len(client.nthreads()))
        self._here = LocalEngine()
        self._run = uuid4().hex

    def parts(self, job: TileJob[Part, Any], skip: Collection[int] = frozenset()) -> Iterator[tuple[int, Part]]:
        """Predict tiles, in the order in which they are finished; see `Engine.parts`.

        Raises:
            StorageError: A task crashed every worker that it was given to.
        """
        if job.known:  # the network has already seen the image in this process
            yield from self._here.parts(job, skip)
            return
        recipe = _Recipe(
            self._run,
            str(self._model.absolute()),
            _absolute(job.source.name),
            # The workers' processors may differ: all take the precision that is in effect here.
            job.options.changed(precision=self._precision),
            job.fitted,
            job.scale,
            job.level,
            job.grid,
        )
        token = uuid4().hex[:8]
        needed = job.needed(skip)

        def submit(function: Any, tile: int, *arguments: Any) -> Any:
            key = f"{function.__name__}-{token}-{tile}"
            return self._client.submit(function, recipe, tile, *arguments, key=key, retries=_RETRIES)

        proposals = {tile: submit(_propose, tile) for tile in sorted(set().union(*needed.values()))}
        decoded = {
            submit(_decode, tile, {needed_tile: proposals[needed_tile] for needed_tile in around}): tile
            for tile, around in needed.items()
        }
        # The cluster drops the proposals of a tile once all tiles that need them are decoded.
        del proposals
        done = as_completed(list(decoded))
        try:
            for future in done:
                tile = decoded.pop(future)
                yield tile, future.result()
                future.release()
        except KilledWorker as error:
            raise StorageError(
                f"{job.source.name}: a tile crashed its worker {_RETRIES} times, probably out of memory "
                f"({error}). Use fewer workers per machine, or smaller tiles (--tile)."
            ) from error
        finally:
            self._client.cancel(list(decoded))


def _absolute(name: str) -> str:
    """Return the path under which a worker started elsewhere finds an image; a URL is unchanged."""
    return name if "://" in name else str(Path(name).absolute())


def _propose(recipe: _Recipe, tile: int) -> Any:
    steps, view = _prepared(recipe)
    return steps.propose(view, recipe.grid, [tile])[0]


def _decode(recipe: _Recipe, tile: int, proposals: dict[int, Any]) -> Any:
    steps, view = _prepared(recipe)
    return steps.decode(view, recipe.grid, tile, proposals)


def _prepared(recipe: _Recipe) -> tuple[TileSteps[Any, Any], NetworkView]:
    with _loading:
        predictor = _predictor(recipe.run, recipe.model, recipe.options.precision)
    options = recipe.options
    source = _source(recipe.run, recipe.image, options.channel, options.plane, options.scene)
    return predictor.steps(recipe.options), NetworkView(source, recipe.fitted, recipe.scale, recipe.level)


@lru_cache(maxsize=1)
def _predictor(_run: str, model: str, precision: Precision) -> AnyPredictor:
    options = PredictOptions(precision=precision)
    if folder_task(Path(model)) == "semantic_segmentation":
        return load_semantic(model, options)
    return Predictor.load(model, options)


@lru_cache(maxsize=2)
def _source(run: str, image: str, channel: Channel, plane: Plane, scene: Scene) -> ImageSource:
    return _content(run, image, scene).image(channel, plane)


@lru_cache(maxsize=2)
def _content(_run: str, image: str, scene: Scene) -> Content:
    return open_content(image, scene)


@contextmanager
def connected(workers: int, scheduler: str | None) -> Iterator[Client]:
    """Create a client of a Dask cluster.

    Args:
        workers: Processes to start on this machine, which share its cores; not used if there is a scheduler.
        scheduler: Address of a running cluster, such as `tcp://10.0.0.1:8786`.

    Raises:
        ConfigError: The scheduler does not answer.
    """
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError, TimeoutError) as error:
            raise ConfigError(
                f"scheduler: {scheduler} does not answer ({error}). Is it running, and reachable?"
            ) from error
        with client:
            yield client
        return
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    settings = {
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(names, threads),
        "distributed.worker.preload": [
            "from nucseg.models.tensorflow_import import prepare_tensorflow; prepare_tensorflow(lean=True)"
        ],
        "distributed.worker.memory.spill": False,
        "distributed.comm.timeouts.connect": "60s",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
