"""How well instances (nuclei) fit the truth: overlaps, matching, scores, pooling. Label images in, numbers out."""
