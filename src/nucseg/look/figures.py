"""What Bokeh draws on the page; `page.js` fills it, and finds its parts by their names."""

from bokeh.events import PanEnd
from bokeh.layouts import column
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    FreehandDrawTool,
    HoverTool,
    IndexFilter,
    MultiLine,
    Patches,
    TapTool,
    UIElement,
)
from bokeh.plotting import figure

# By Okabe and Ito.
_ORANGE, _SKY, _YELLOW, _GREEN = "#e69f00", "#56b4e9", "#f0e442", "#009e73"


def figures() -> UIElement:
    """Create the image with outlines, and the histogram of sizes below it, without data."""
    image = figure(
        name="image",
        tools="pan,wheel_zoom,box_zoom,reset",
        active_scroll="wheel_zoom",
        sizing_mode="stretch_both",
        match_aspect=True,
        x_range=(0, 1),
        y_range=(1, 0),
        output_backend="webgl",
        lod_threshold=None,
        toolbar_location="above",
        background_fill_color="black",
    )
    image.grid.visible = False
    image.axis.axis_label_text_font_size = "9pt"
    pixels = ColumnDataSource({"image": [], "width": [], "height": []}, name="pixels")
    image.image_rgba(image="image", x=0, y=0, dw="width", dh="height", source=pixels)
    nuclei = ColumnDataSource({"xs": [], "ys": [], "colour": [], "width": []}, name="nuclei")
    drawn = image.add_glyph(
        nuclei,
        Patches(xs="xs", ys="ys", line_color="colour", line_width="width", fill_color=_ORANGE, fill_alpha=0.0),
        selection_glyph=Patches(
            xs="xs", ys="ys", line_color=_YELLOW, line_width=3, fill_color=_YELLOW, fill_alpha=0.25
        ),
        nonselection_glyph=Patches(
            xs="xs", ys="ys", line_color="colour", line_width="width", fill_color=_ORANGE, fill_alpha=0.0
        ),
        hover_glyph=Patches(xs="xs", ys="ys", line_color=_SKY, line_width=3, fill_color=_SKY, fill_alpha=0.15),
        view=CDSView(filter=IndexFilter(indices=[], name="shown")),
    )
    line = image.add_glyph(
        ColumnDataSource({"xs": [], "ys": []}, name="line"),
        MultiLine(xs="xs", ys="ys", line_color=_GREEN, line_width=3),
    )
    image.add_tools(
        HoverTool(renderers=[drawn], tooltips=[], name="hover", attachment="right"),
        TapTool(renderers=[drawn]),
        FreehandDrawTool(renderers=[line], num_objects=1, name="freehand"),
    )
    # After the tool has taken the end of the line.
    image.js_on_event(PanEnd, CustomJS(code="setTimeout(() => document.dispatchEvent(new Event('line-drawn')))"))
    histogram = figure(
        name="histogram",
        tools="",
        toolbar_location=None,
        height=150,
        sizing_mode="stretch_width",
        x_axis_label="area",
        y_axis_label="nuclei",
        output_backend="webgl",
    )
    bins = ColumnDataSource({"left": [], "right": [], "top": []}, name="bins")
    histogram.quad(left="left", right="right", bottom=0, top="top", source=bins, color="#0072b2", line_color="white")
    histogram.y_range.start = 0
    return column(image, histogram, sizing_mode="stretch_both")
