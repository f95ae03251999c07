"""Trunks: networks that turn an image into levels of features, shared by the models."""
