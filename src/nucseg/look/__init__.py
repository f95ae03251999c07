"""The page on which nuclei are looked at and corrected in the browser."""
