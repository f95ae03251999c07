"""Mask R-CNN for dense nuclei, one concept per file, in Keras and `keras.ops` only (He et al. 2017)."""
