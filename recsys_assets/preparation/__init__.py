"""Catalogues, sequences and splits: SQL and functions without Dagster."""
