"""Playlist continuation as Dagster assets.

The package root imports nothing heavy: the registered model carries parts of this package and is
loaded where neither Dagster nor DuckDB is installed. Only `definitions.py` and the folders
`assets/`, `checks/`, `automation/` and `resources/` import Dagster.
"""

__version__ = "0.1.0"
