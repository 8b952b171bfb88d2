"""Deliberate deviations of the simulated seats, and the proof that every check can fail."""
