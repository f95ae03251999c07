"""What people look at of instances: outlines with their errors, curves of AP and sizes, exports to Kaggle and COCO."""
