"""The plugin of napari; its manifest, napari.yaml, names the functions of which napari makes windows."""
