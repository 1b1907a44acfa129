"""Tests of recsys_assets.automation."""
