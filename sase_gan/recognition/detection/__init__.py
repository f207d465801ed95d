"""Training, scoring and predicting objects with boxes and masks."""
