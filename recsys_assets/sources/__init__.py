"""Readers of raw input, one module per format: the same relation from each, and rejected rows."""
