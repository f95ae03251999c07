"""Metrics of how well a prediction fits the truth: a subpackage per task, and what all tasks share."""
