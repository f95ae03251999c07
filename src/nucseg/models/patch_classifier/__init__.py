"""Classifiers of patches of fixed size: whether there is a mitosis in the middle."""
