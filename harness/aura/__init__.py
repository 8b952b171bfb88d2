"""The simulated provider, written after the deployed Aura: its record endpoint, its publishers, its feedback log."""
