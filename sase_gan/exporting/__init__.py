"""Models as files for other programs: ONNX, torch.export, and a page that draws in a browser."""
