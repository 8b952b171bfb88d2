"""Live seats: systems that run somewhere else, and are driven and seen from outside."""
