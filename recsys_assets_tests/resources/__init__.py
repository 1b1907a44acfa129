"""Tests of recsys_assets.resources."""
