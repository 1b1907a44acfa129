"""Nearest items of every item, and the files that serving stacks load."""
