"""Data sets: images in, uint8 tensors and deterministic splits out."""
