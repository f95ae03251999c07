"""The device and the number format with which the networks compute."""

import logging
import os
from typing import Literal

import tensorflow as tf

from nucseg.core.errors import ConfigError
from nucseg.core.processor import processor_info
from nucseg.core.types import Precision

_log = logging.getLogger(__name__)
_logged: set[str] = set()


def use_precision(wanted: Precision = "auto") -> Literal["float32", "bfloat16"]:
    """Set the number format of convolutions for the whole process, from the next call of a network on.

    bfloat16 on the CPU is oneDNN's automatic mixed precision: weights, losses and outputs stay float32. It about halves
    the time of a step where `auto` chooses it, and results are equal only within one precision. Call it before other
    threads run a network: TensorFlow keeps the setting for each thread that has run one.

    Args:
        wanted: `auto` chooses bfloat16 if the processor is faster in it and there is no GPU, otherwise float32.

    Returns:
        The precision in effect, which belongs in the run record.

    Raises:
        ConfigError: bfloat16 was requested but cannot be used, or the name is unknown.
    """
    if wanted not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"precision: {wanted!r} is unknown; allowed are auto, float32 and bfloat16.")
    obstacle = _bfloat16_obstacle()
    if wanted == "bfloat16" and obstacle:
        raise ConfigError(f"precision: bfloat16 cannot be used: {obstacle}. Use auto or float32.")
    reduced = wanted == "bfloat16" or (wanted == "auto" and not obstacle and _is_faster_in_bfloat16())
    effective: Literal["float32", "bfloat16"] = "bfloat16" if reduced else "float32"
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": reduced})
    if effective not in _logged:
        _logged.add(effective)
        _log.info("Networks run on %s in %s.", describe_device(), effective)
    return effective


def describe_device() -> str:
    """Return the name of the device that networks run on, such as `CPU (AMD EPYC, 2 cores)`."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "unnamed") for gpu in gpus]
        return f"GPU ({', '.join(names)})"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU ({processor_info('model name') or 'unknown'}, {cores} cores)"


def tiles_at_once() -> int:
    """Return the number of tiles of a large image to run through a network at a time.

    A batch keeps a GPU busy (not measured on one yet); a CPU is busy with one tile, and more would only take memory.
    """
    return 4 if tf.config.list_physical_devices("GPU") else 1


def _is_faster_in_bfloat16() -> bool:
    """Return whether a processor that has bfloat16 is faster in it: with AMX, or AVX-512 as AMD builds it.

    Intel's processors with AVX-512 alone, such as virtual ones that hide AMX, take longer than in float32.
    """
    return "amx_bf16" in processor_info("flags").split() or processor_info("vendor_id") == "AuthenticAMD"


def _bfloat16_obstacle() -> str | None:
    """Return why oneDNN's bfloat16 cannot be used here, or None."""
    if tf.config.list_physical_devices("GPU"):
        return "it is for the CPU, and a GPU computes here"
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return "oneDNN is switched off by TF_ENABLE_ONEDNN_OPTS=0"
    if not {"avx512_bf16", "amx_bf16"} & set(processor_info("flags").split()):
        return "the processor has neither avx512_bf16 nor amx_bf16"
    return None
