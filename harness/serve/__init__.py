"""The simulated systems behind one port, as the gateway shows them, for people who build against them and for tests
that take them for live ones.
"""
