"""Compile the training step of a job for a GPU that this machine lacks: whether it compiles, how fast, in what memory.

    python benchmarks/gpu_compile.py mask_rcnn

GPU minutes are few; this needs none. It needs JAX with its CUDA plugin, beside the packages of train_on_gpu.py:
`pip install jax==0.11.2 jax-cuda13-plugin==0.11.2 jax-cuda13-pjrt==0.11.2 nvidia-cuda-nvcc nvidia-nvvm
nvidia-nvjitlink`. Convolutions are not autotuned, which takes a GPU.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ |= {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false",
}
sys.path.append(str(Path(__file__).parents[1] / "src"))

import gpu_absent  # noqa: F401 - first
import gpu_trainer
import jax
import numpy as np
from gpu_feed import make_targets_of
from gpu_jobs import JOBS, training_config
from jax.experimental import topologies

H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 12 } runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def main() -> None:
    """Compile, and print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    job = JOBS[parser.parse_args().job]
    config = training_config(job)
    topology = topologies.get_topology_desc("h100", "cuda", target_config=H100, topology="1x1x1")
    there = jax.sharding.SingleDeviceSharding(topology.devices[0])
    compile_here = jax.jit

    class CompiledThere:
        """What `jax.jit` returns, for arrays on the GPU."""

        def __init__(self, function: Any, **options: Any) -> None:
            self._jitted = compile_here(function, **options)

        def lower(self, *arrays: Any) -> Any:
            """Lower for arrays of these shapes."""
            return self._jitted.lower(
                *jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=there), arrays)
            )

    side, n = config.patch_size, config.batch_size
    targets = make_targets_of(job)(np.kron(np.arange(4).reshape(2, 2), np.ones((side // 2, side // 2), np.int32)))
    job = replace(job, start=None, architecture={**job.architecture, "pretrained": None})
    trainer = gpu_trainer.Trainer("", job, Path(), {})
    jax.jit = CompiledThere  # type: ignore[misc, assignment]
    began = time.perf_counter()
    trainer.start_compiling(np.zeros((n, side, side, 3), np.float16), [np.stack([array] * n) for array in targets])
    compiled = trainer.compiled()
    gigabytes = compiled.memory_analysis().temp_size_in_bytes / 1e9
    print(f"{parser.parse_args().job}: {time.perf_counter() - began:.0f} s, {gigabytes:.1f} GB for a step")


if __name__ == "__main__":
    main()
