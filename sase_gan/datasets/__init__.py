"""From picture files on disk to uint8 tensors and endless training batches."""
