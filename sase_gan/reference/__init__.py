"""Plain and slow forms of what is computed faster elsewhere, for tests and benchmarks alone."""
