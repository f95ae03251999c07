"""Output for instances: outlines with their errors, curves of AP and sizes, exports to Kaggle and COCO."""
