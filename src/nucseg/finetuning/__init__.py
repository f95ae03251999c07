"""A model of one's own from few images: the shipped one trained on, and compared with it on images held out."""
