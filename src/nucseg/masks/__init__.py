"""Label images, boxes, run lengths (Kaggle and COCO) and outlines: NumPy in, NumPy out."""
