"""Metrics of instances (nuclei): overlaps, matching, scores, pooling. Label images in, numbers out."""
