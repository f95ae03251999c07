"""The routes, one router per file."""
