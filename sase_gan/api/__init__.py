"""What `import sase_gan` offers, one function a file; the command line calls the same functions."""
