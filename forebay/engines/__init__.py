"""SQL over files. Each module is the only door to its engine."""
