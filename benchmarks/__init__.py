"""How fast it is, as ratios of one run: what shares a moment of a machine can be compared, what does not cannot."""
