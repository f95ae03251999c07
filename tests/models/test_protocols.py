import inspect

import pytest

from nucseg.models.protocols import InstanceSegmenter, Model
from nucseg.models.registry import MODELS, model_class


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("protocol", [Model, InstanceSegmenter])
def test_every_listed_model_keeps_the_protocol(kind, protocol):
    model = model_class(kind)
    for name, method in inspect.getmembers(protocol, inspect.isfunction):
        if not name.startswith("_"):
            expected = list(inspect.signature(method).parameters)
            assert list(inspect.signature(getattr(model, name)).parameters) == expected, name
