"""A contract gate for the agreement between Aura and Synapse."""

__version__ = "0.1.0"
