"""DeepLabV3+: an atrous pyramid on a trunk; and the graphs that its authors published."""
