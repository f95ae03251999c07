"""The queue: one table that is the truth, and the storage of uploads and results.

What clients call a task is a job in the code, where a task is what a model is for.
"""
