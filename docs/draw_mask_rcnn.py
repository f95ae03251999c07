"""Draw docs/images/mask-rcnn.png: the stages of Mask R-CNN and the shapes between them, read off the network itself.

python docs/draw_mask_rcnn.py
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.network import MaskRCNN

SIDE = 256
FIRST, SECOND, PLAIN = "#56B4E9", "#E69F00", "#DDDDDD"


def main() -> None:
    """Draw the picture."""
    config = MaskRCNNConfig()
    network = MaskRCNN(config)
    levels = [tuple(shape[1:]) for shape in network.pyramid.compute_output_shape((1, SIDE, SIDE, config.in_channels))]
    n_anchors = len(network.anchors((SIDE, SIDE)))
    by_level = "\n".join(
        f"1/{stride}: {shape[0]} x {shape[1]} x {shape[2]}"
        for stride, shape in zip(config.strides, levels, strict=True)
    )
    box, mask, drawn = config.box_size, config.mask_size, 2 * config.mask_size
    channels, proposed = config.pyramid_channels, f"{config.proposals}"
    boxes = {
        "image": (0, 2, PLAIN, f"image\n{SIDE} x {SIDE} x {config.in_channels}"),
        "backbone": (1, 2, FIRST, "backbone\n" + "\n".join(map(str, config.filters)) + "\nfilters"),
        "pyramid": (2, 2, FIRST, f"feature pyramid\n{by_level}"),
        "rpn": (3, 1, FIRST, f"RPN\n{n_anchors:,} anchors:\nobjectness, box"),
        "proposals": (4, 1, FIRST, f"proposals\nbest {config.before_nms:,}, NMS:\n{proposed} x 4"),
        "box": (4, 2, SECOND, f"RoIAlign\n{proposed} x {box} x {box} x {channels}\n→ box head:\nscore, box"),
        "nms": (4, 3, PLAIN, f"NMS\nat most\n{config.detections} nuclei"),
        "mask": (
            2.9,
            3,
            SECOND,
            f"RoIAlign, + {config.mask_margin:.0%}\nK x {mask} x {mask} x {channels}\n"
            f"→ mask head:\nK x {drawn} x {drawn}",
        ),
        "paste": (1.2, 3, PLAIN, f"paste by score\nlabel image\n{SIDE} x {SIDE}"),
    }
    arrows = ["image backbone", "backbone pyramid", "pyramid rpn", "rpn proposals", "proposals box", "pyramid box"]
    arrows += ["box nms", "nms mask", "pyramid mask", "mask paste"]
    figure = Figure(figsize=(11, 5.4), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1))
    places, patches = {}, {}
    for name, (column, row, colour, text) in boxes.items():
        x, y = 2.1 * column + 1.2, 1.75 * (3 - row) + 1
        places[name] = (x, y)
        patches[name] = FancyBboxPatch(
            (x - 0.8, y - 0.62), 1.6, 1.24, boxstyle="round,pad=0.05", fc=colour, ec="#333333"
        )
        axes.add_patch(patches[name])
        axes.text(x, y, text, ha="center", va="center", fontsize=9)
    for start, end in (arrow.split() for arrow in arrows):
        ends = {"posA": places[start], "posB": places[end], "patchA": patches[start], "patchB": patches[end]}
        axes.add_patch(FancyArrowPatch(**ends, arrowstyle="-|>", mutation_scale=14, shrinkA=2, shrinkB=2))
    axes.text(0.25, 5.35, "first stage", color="#0072B2", fontsize=11, weight="bold")
    axes.text(2.2, 5.35, "second stage", color="#B06E00", fontsize=11, weight="bold")
    axes.set(xlim=(0, 10.9), ylim=(0, 5.75))
    axes.axis("off")
    FigureCanvasAgg(figure).print_png(Path(__file__).parent / "images" / "mask-rcnn.png")


if __name__ == "__main__":
    main()
