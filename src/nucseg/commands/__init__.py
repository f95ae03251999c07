"""The commands of `nucseg`, one per file. Each imports what it needs inside its function, so that `--help` is fast."""
