"""Pictures without training: new arrangements of a set, a handful or one picture by the closed-form local denoiser."""
