"""The name of the work pool that engines serve, and the type of its workers."""

POOL = "stix"
