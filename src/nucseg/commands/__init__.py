"""The commands of `nucseg`, one a file; each imports what it needs inside its function, so that `--help` is fast."""
