"""Our own Lava processes. Lava executes every file beside a process it compiles: only import-safe files live here."""
