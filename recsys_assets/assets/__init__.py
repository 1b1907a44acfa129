"""Dagster assets: load, call one function, return metadata; one module per lineage group."""
