"""Float networks as NIR graphs: read, checked, run."""
