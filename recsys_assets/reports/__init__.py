"""Texts and plots that people read."""
