"""How well patches are classified, and mitoses of a field found."""
