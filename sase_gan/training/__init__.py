"""LightningModules: the step and its optimisers."""
