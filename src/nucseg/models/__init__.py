"""The models: one protocol, one folder format, and a package for each architecture."""
