"""One price list per file; each is named by an entry point of the group ``stix.refreshers``."""
