"""From a trained torch model to an integer network in a verified file."""
