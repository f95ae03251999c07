"""Layers as napari's, and a small model, for tests without napari."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from numpy.typing import NDArray

from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle


@pytest.fixture
def tiny(tmp_path: Path, small_stardist: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a small model that finds drawn nuclei."""
    ModelBundle("tiny", small_stardist, (Normalize(),)).save(tmp_path / "models/tiny")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    return "tiny"


@pytest.fixture
def layer() -> Callable[..., Any]:
    """Return the function that creates a layer with the attributes that the plugin reads."""

    def create(data: NDArray, name: str = "image", *, rgb: bool = False, **facts: Any) -> Any:
        axes = data.ndim - rgb
        return SimpleNamespace(
            **{"scale": (1.0,) * axes, "translate": (0.0,) * axes, "multiscale": False} | facts,
            data=data,
            name=name,
            rgb=rgb,
        )

    return create
