"""Training, scoring and predicting classes."""
