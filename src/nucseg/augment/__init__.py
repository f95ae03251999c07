"""An image and its truth changed together, at random but seeded, through albumentations."""
