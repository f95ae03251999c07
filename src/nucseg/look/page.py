"""The page as one HTML file with everything in it."""

import json
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import jinja2

from nucseg.core.errors import ConfigError
from nucseg.core.package import VERSION

SCRIPTS = ("geometry.js", "files.js", "nuclei.js", "page.js")
"""The page's own scripts, in the order in which they run."""


def render_page(images: Iterable[dict[str, Any]], *, formats: Sequence[str] = ()) -> str:
    """Render the page.

    Args:
        images: What `view_of` returned, of each image.
        formats: The formats that the server of the page writes, which also predicts and trains; a page without them
            is a file that stands alone.

    Returns:
        HTML that opens without a network.

    Raises:
        ConfigError: Bokeh, which draws the nuclei, is not installed.
    """
    try:
        from bokeh.embed import json_item
        from bokeh.resources import Resources
    except ImportError as error:
        raise ConfigError("the page needs Bokeh; install it: pip install 'nucseg[look]'.") from error
    from nucseg.look.figures import figures

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nucseg.look"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = resources.files("nucseg.look") / "templates"
    scripts = [*SCRIPTS, "server.js"] if formats else SCRIPTS
    return environment.get_template("look.html.j2").render(
        version=VERSION,
        formats=formats,
        bokeh=Resources(mode="inline", components=["bokeh", "bokeh-gl"]).render_js(),
        style=(folder / "look.css").read_text(),
        scripts=[(folder / name).read_text() for name in scripts],
        figures=_json(json_item(figures(), "figures")),
        images=_json(list(images)),
    )


def _json(content: Any) -> str:
    # `</script>` within a text would end the element that holds it.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
