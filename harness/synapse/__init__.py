"""The simulated consumer: what the deployed Spring subscriber makes of Aura's messages.

Written after the real system, never after `contracts/`, so that its agreement with a check proves something.
"""
