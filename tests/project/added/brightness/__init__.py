"""Whatever is bright is a nucleus: an example of a model."""
