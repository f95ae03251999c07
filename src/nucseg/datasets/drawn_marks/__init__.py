"""Drawn images of ablation marks with their masks, for training where hardly any real image is annotated."""

from nucseg.datasets.drawn_marks.draw import draw_marks

__all__ = ["draw_marks"]
