"""The conformance suite of refreshers; see ``suite``."""
