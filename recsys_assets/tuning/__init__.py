"""Hyperparameter search: ranges, the inner hold-out, trials, writing the best entry back."""
