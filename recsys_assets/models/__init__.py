"""Recommenders: one family per module, all with the interface of `models/base.py`."""
