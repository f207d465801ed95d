"""Recognition networks that share the layers of the generators: backbones, classifiers and detectors."""
