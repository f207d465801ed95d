"""The plain forms of layers and training steps: what tests compare with and benchmarks time beside."""
