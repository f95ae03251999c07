"""From an image as it is stored to its nuclei: what evaluation, command line and server share."""
