"""Random state."""

import keras


def set_seeds(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow: to be called before a network with random weights is built.

    What a training draws later (patches, augmentation) comes from generators of its own, made of the seed, the epoch
    and the place in it; see `nucseg.training.feed`.
    """
    keras.utils.set_random_seed(seed)
