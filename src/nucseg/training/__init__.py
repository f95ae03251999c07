"""Training: from samples to a model bundle, resumable after a kill."""
