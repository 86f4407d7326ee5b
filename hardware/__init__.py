"""Run an integer network and measure what it does."""
