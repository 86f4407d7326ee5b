"""Training in the integers of the export."""
