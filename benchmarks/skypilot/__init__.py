"""The real SkyPilot 0.14.1, in an environment of its own, as a peer to measure and compare with."""
