"""Full ranking, metrics, confidence intervals and slices: no Dagster, no files."""
