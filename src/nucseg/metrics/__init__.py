"""How well a prediction fits the truth: overlaps, matching, scores, pooling. Label images in, numbers out."""
