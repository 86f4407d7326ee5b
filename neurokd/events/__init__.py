"""Event cameras: recordings in, frames `[T, C, H, W]` out; archives, a cache and a simulated sensor."""
