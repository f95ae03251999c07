"""Classifiers of patches of fixed size: is there a mitosis in the middle or not."""
