"""The commands of `aura-harness`, a module each: its options, and what it does.

Everything else is imported where it is needed: a command pays for itself only, and `--help` answers at once.
"""
