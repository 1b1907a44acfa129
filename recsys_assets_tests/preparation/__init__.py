"""Tests of recsys_assets.preparation."""
