"""Stores behind fsspec, content-addressed artifacts, the cache key, transfer."""
