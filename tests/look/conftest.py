from collections.abc import Callable, Iterator
from typing import Any

import pytest

from look_page import LookPage
from nucseg.look.page import render_page
from nucseg.look.view import view_of
from nucseg.measurements.field import Field


@pytest.fixture(scope="module")
def open_page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LookPage]]:
    """Return a function that opens a page of some fields as a file."""
    pages = []

    def opened(*fields: Field) -> LookPage:
        file = tmp_path_factory.mktemp("page") / "look.html"
        file.write_text(render_page([view_of(field) for field in fields]))
        pages.append(LookPage(browser, file.as_uri()))
        return pages[-1]

    yield opened
    for page in pages:
        assert page.errors == []
        page.context.close()
