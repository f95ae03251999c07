"""Pictures and charts of class maps."""
