"""The package itself: its version, and where its modules lie."""

from pathlib import Path

VERSION = "0.1.0"
FOLDER = Path(__file__).parents[1]
