"""Tests of recsys_assets.checks."""
