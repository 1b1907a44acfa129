"""Readers of raw input, one module per format; each yields the same relation and its rejected rows."""
