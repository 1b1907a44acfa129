"""Tests of recsys_assets; the folders mirror the package."""
