"""How well every pixel is assigned to its class."""
