"""Real servers that tests talk to; started by them, on this machine only."""
