"""Is it the same? Two runs compared, Lava asked, every form of the network measured."""
