"""The queue: one table that is the truth, and the storage of uploads and results.

What clients call a task is called a job in the code, because a model's purpose is called its task.
"""
