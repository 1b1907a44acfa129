"""Tests of recsys_assets.similarity."""
