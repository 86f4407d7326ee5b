"""Plain torch ANNs."""
