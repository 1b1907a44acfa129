"""Tests of recsys_assets.assets."""
