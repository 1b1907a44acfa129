"""Tests of recsys_assets.models."""
