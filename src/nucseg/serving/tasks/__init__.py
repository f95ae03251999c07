"""The queue: one table that is the truth, and the storage of uploads and results."""
