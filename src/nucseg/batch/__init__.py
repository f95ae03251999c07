"""Many images into files: resumable, with a summary of what failed."""
