"""Training runs: their tasks, folders, progress and cost."""
