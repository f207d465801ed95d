"""Backbones made of the papers' layers, on timm's networks."""
