"""U-Net: a decoder on a trunk that assigns every pixel to a class."""
