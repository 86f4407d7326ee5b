"""What a target can run, and what of a model it cannot."""
