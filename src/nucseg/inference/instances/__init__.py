"""Instances tile by tile: the steps of a tile, the numbering over all tiles, and the scale."""
