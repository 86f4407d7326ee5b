"""Many runs as one experiment: a grid over variants, coefficients and seeds, and what came of it."""
