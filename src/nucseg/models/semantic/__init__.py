"""What all models of semantic segmentation share."""
