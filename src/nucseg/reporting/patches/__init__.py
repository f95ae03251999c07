"""Curves and pictures of classified patches."""
