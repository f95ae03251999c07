"""Mitoses on slides: patches around nuclei, their probabilities, and the field that holds most of them."""
