"""Instances tile by tile: the steps of a tile, numbers for the nuclei of all tiles, the scale that suits them."""
