"""How well a prediction fits the truth: a room for each task, and what all of them share."""
