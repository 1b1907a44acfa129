"""Asset checks, one module per lineage group."""
