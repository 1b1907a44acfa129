"""Tests of recsys_assets.sources."""
