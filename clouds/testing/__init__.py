"""The conformance suite of clouds; see ``suite``."""
