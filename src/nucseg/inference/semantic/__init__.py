"""The class of each pixel of an image, tile by tile."""
