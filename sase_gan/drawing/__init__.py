"""From a model to pictures: seeds, latents, gates, recipes, patches, films."""
