"""Dagster resources: DuckDB storage, MLflow tracking, the run lock."""
