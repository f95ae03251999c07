"""The way from a stored image to its nuclei, shared by evaluation, command line and server."""
