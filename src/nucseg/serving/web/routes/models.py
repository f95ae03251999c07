"""The list of models."""

from fastapi import APIRouter

from nucseg.core.errors import ModelError
from nucseg.serving.models import ModelStore
from nucseg.serving.web.schemas import ModelsAnswer, ModelSummary


def routes(models: ModelStore) -> APIRouter:
    """Create the route."""
    router = APIRouter(tags=["model"])

    @router.get("/models")
    def list_models() -> ModelsAnswer:
        """List the available models."""
        return ModelsAnswer(
            models=[
                ModelSummary(
                    name=name,
                    version=models.version(name),
                    default=name == models.default,
                    classes=_classes(models, name),
                )
                for name in models.names()
            ]
        )

    return router


def _classes(models: ModelStore, name: str) -> list[str]:
    try:
        return list(models.classes(name))
    except ModelError:  # whoever asks for this model is told so
        return []
