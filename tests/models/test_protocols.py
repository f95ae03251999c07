import inspect

import pytest

from nucseg.models.protocols import InstanceSegmenter, Model, PatchClassifier, SemanticSegmenter
from nucseg.models.registry import MODELS, model_class

PROTOCOLS = {
    "instance_segmentation": InstanceSegmenter,
    "semantic_segmentation": SemanticSegmenter,
    "patch_classification": PatchClassifier,
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("general", [True, False])
def test_every_listed_model_keeps_the_protocol(kind, general):
    model, protocol = model_class(kind), Model if general else PROTOCOLS[MODELS[kind].task]
    for name, method in inspect.getmembers(protocol, inspect.isfunction):
        if not name.startswith("_"):
            expected = list(inspect.signature(method).parameters)
            assert list(inspect.signature(getattr(model, name)).parameters) == expected, name
