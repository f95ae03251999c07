"""Random, seeded changes of an image and its truth together, through albumentations."""
