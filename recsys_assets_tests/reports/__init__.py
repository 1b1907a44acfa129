"""Tests of recsys_assets.reports."""
