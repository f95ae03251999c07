"""StarDist: star-convex polygons, by the `stardist` package (Schmidt et al. 2018, https://arxiv.org/abs/1806.03535)."""
