"""One file per kind of store, found by entry point."""
