"""The MLflow pyfunc model, and what answers requests."""
