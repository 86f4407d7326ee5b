"""From a float graph to integers, and the scales at which least is lost."""
