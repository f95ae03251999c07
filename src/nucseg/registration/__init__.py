"""Registration of ablation marks: which mark of a mask is which pixel of the acquisition."""
