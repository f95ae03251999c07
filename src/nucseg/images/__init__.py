"""Read and write any microscopy image; intensity and geometry transforms."""
