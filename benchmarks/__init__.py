"""Whole-process comparisons of this project with the tutorial's way of doing the same work.

Nothing here is part of the product: the package `recsys_assets` never imports it.
"""
