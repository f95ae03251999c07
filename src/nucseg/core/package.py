"""The package itself: its version, and the folder of its modules."""

from pathlib import Path

VERSION = "0.1.0"
FOLDER = Path(__file__).parents[1]
