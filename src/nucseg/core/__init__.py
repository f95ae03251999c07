"""The types, errors and checks that every other package uses. Depends on NumPy only."""
