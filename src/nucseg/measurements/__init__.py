"""What is measured of each nucleus: shape and position, and intensities of any channel in nucleus, cell and ring."""
