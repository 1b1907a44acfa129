"""Dagster assets: load, call one function, return metadata; one module per lineage group."""

import gc

# What Dagster's import made stays until the end: imported after this, the project's own modules take
# 0.75 s and not 0.87, since no collection looks at it again.
gc.freeze()
