"""The files that `nucseg mitoses` writes of a slide."""
