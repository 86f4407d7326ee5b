"""Our own Lava processes, and networks of processes. Lava executes every file here: only import-safe ones may be."""
