import pytest

from nucseg.models.precision import use_precision


@pytest.fixture
def every_pyramid_is_a_slide(monkeypatch):
    """Take images with levels for slides, however small they are."""
    monkeypatch.setattr("nucseg.images.source.SLIDE_PIXELS", 0)
    yield
    use_precision("float32")
