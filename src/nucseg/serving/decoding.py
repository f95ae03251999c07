"""Decoding of uploads in separate processes with bounded memory and time, whatever the file contains."""

import contextlib
import io
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
import tifffile

from nucseg.core.errors import InputError
from nucseg.core.streams import without_file
from nucseg.core.window import Window
from nucseg.images.io import open_stream
from nucseg.images.planes import Channel
from nucseg.images.source import ImageSource
from nucseg.serving.errors import TooLargeError
from nucseg.serving.limits import DECODE_BYTES, Cost, check_size

_THREADS = 2  # threads that decode strips and tiles of one image
_OVERHEAD = 192 << 20  # bytes for libraries that are imported late, and stacks of threads
_WALL_SECONDS = 20  # seconds of wall time per second of processor time: the processors are shared
_log = logging.getLogger(__name__)

# A fork server copies itself for each image, which takes a moment; a new interpreter would take a second.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def decode_upload(
    upload: IO[bytes],
    max_pixels: int,
    max_memory: int = DECODE_BYTES,
    *,
    name: str = "image",
    waiting: Callable[[], None] = lambda: None,
    channel: Channel = None,
) -> ImageSource:
    """Decode an upload within limits into a temporary file.

    Args:
        upload: TIFF, PNG or JPEG, seekable; it is not needed afterwards.
        max_pixels: As `check_size`.
        max_memory: As `check_size`.
        name: Name for messages.
        waiting: Called every second; an exception that it raises ends the decoding.
        channel: Name or number of the channel; None takes a grey or a colour image as it is.

    Returns:
        The image; its pixels are read from the file, which is removed together with the image.

    Raises:
        InputError: It is not an image.
        TooLargeError: It is too large, or takes more memory or time than is allowed or available.
        OSError: The temporary folder is full.
    """
    cost = check_size(upload, max_pixels, name, max_memory=max_memory)
    target = tempfile.TemporaryFile()  # noqa: SIM115 - the image keeps it
    with _file(upload) as file:
        facts: ImageSource = _run(cost, name, file.fileno(), target.fileno(), waiting, channel)

    def read(window: Window) -> np.ndarray:
        # Mapped again each time: pages of a file that stays mapped would count as memory of the process.
        pixels: np.ndarray = np.memmap(target, facts.dtype, "r", shape=facts.shape)
        return np.array(pixels[window.slices])

    return replace(facts, read=read)


@contextlib.contextmanager
def _file(upload: IO[bytes]) -> Iterator[IO[bytes]]:
    """Return the upload's file, or a copy if it has none."""
    try:
        upload.fileno()
    except io.UnsupportedOperation:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(upload, copy)
            copy.flush()
            yield copy
    else:
        upload.flush()
        yield upload


def _run(cost: Cost, name: str, upload: int, target: int, waiting: Callable[[], None], channel: Channel = None) -> Any:
    """Decode in another process and return its description of the image."""
    receiver, sender = _processes.Pipe(duplex=False)
    with receiver:
        with sender:
            arguments = (sender, _Descriptors(upload, target), cost, name, channel)
            process = _processes.Process(target=_decode, args=arguments, daemon=True)
            process.start()
        end = time.monotonic() + cost.seconds * _WALL_SECONDS
        answer: Any = None
        try:
            while not receiver.poll(min(1.0, max(0.0, end - time.monotonic()))):
                if time.monotonic() >= end:
                    answer = TimeoutError()
                    break
                waiting()
            else:
                answer = receiver.recv()
        except EOFError:  # it died
            pass
        finally:
            if answer is None or isinstance(answer, TimeoutError):
                process.join(0.1)  # its exit code tells how it died
                process.kill()
            process.join()
    code = process.exitcode
    if isinstance(answer, TimeoutError) or code == -signal.SIGXCPU:
        raise TooLargeError(f"{name}: takes longer than the allowed {cost.seconds} s to decode. Crop or shrink it.")
    if isinstance(answer, Exception):
        raise answer
    if answer is None:
        _log.warning("%s: the process that decoded it ended with %s.", name, code)
        if code == -signal.SIGKILL:  # as the kernel does if memory runs out
            raise TooLargeError(f"{name}: needs more memory to decode than is available. Save it as a TIFF with tiles.")
        raise InputError(f"{name}: cannot be decoded. The file is damaged; fetch or save it again.")
    return answer


class _Descriptors:
    """Open files that are passed to another process.

    Args:
        numbers: Their descriptors.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, tuple(DupFd(number) for number in self._numbers)


def _received(*handles: Any) -> list[int]:
    return [handle.detach() for handle in handles]


def _decode(connection: Connection, files: list[int], cost: Cost, name: str, channel: Channel) -> None:
    """Decode from one open file into another, and send the image's facts, or the error."""
    upload, target = files
    answer: Any
    with connection, os.fdopen(upload, "rb") as stream, os.fdopen(target, "wb") as file:
        _bound(cost)
        try:
            answer = _written(stream, file, name, channel)
        except MemoryError:
            answer = TooLargeError(
                f"{name}: takes more than the {cost.memory >> 20} MB of memory that its header implies. "
                "The file is damaged; save it again, as a TIFF with tiles."
            )
        except Exception as error:
            answer = error
        resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)
        connection.send(answer)


def _bound(cost: Cost) -> None:
    """Set the limits at which the kernel ends this process."""
    tifffile.TIFF.MAXWORKERS = _THREADS
    # zarr is imported for large files only, and looks there.
    os.environ |= {"ZARR_ASYNC__CONCURRENCY": str(_THREADS), "ZARR_THREADING__MAX_WORKERS": str(_THREADS)}
    used = psutil.Process().memory_info().data
    for kind, limit in ((resource.RLIMIT_DATA, used + _OVERHEAD + cost.memory), (resource.RLIMIT_CPU, cost.seconds)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    with contextlib.suppress(OSError):  # if memory runs out, the kernel ends this process before all others
        Path("/proc/self/oom_score_adj").write_text("1000")
    # What libraries print while they run out of memory helps nobody; the error itself is sent.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _written(stream: IO[bytes], file: IO[bytes], name: str, channel: Channel) -> ImageSource:
    """Write the pixels; return the image without them."""
    with _reading(name):
        source = open_stream(without_file(stream), name, channel)
        bands = source.bands()
    while True:
        with _reading(name):
            band = next(bands, None)
        if band is None:
            source.check_whole()
            file.flush()
            return replace(source, read=_elsewhere, levels=(), broken=None)  # what can be sent
        file.write(np.ascontiguousarray(band).data)


def _elsewhere(window: Window) -> np.ndarray:
    raise AssertionError("the pixels are in the file that they were written to")


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    """Convert a decoder's exceptions to errors of the file, except a lack of memory."""
    try:
        yield
    except Exception as error:  # with a damaged file the libraries may raise any exception
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                raise MemoryError from error
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, InputError):
            raise
        text = f"{name}: cannot be read ({error}). The file is damaged; fetch or save it again."
        raise InputError(text) from error
