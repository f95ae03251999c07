"""Prediction of many images into files, resumable and with a summary of failures."""
