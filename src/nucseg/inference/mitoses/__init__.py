"""Mitoses on slides: patches around nuclei, their probabilities, and the field with the most of them."""
