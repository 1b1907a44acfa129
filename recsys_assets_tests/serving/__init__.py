"""Tests of recsys_assets.serving."""
