"""What every other package speaks: the types, the errors and the checks. Knows NumPy only."""
