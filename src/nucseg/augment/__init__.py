"""Image and label image changed together, at random but seeded, through albumentations."""
