"""HTTP client, Python SDK and the decorator; knows the spec, and nothing that runs."""
