"""Supervisor, PostgreSQL, Prefect behind the fence, the STIX API, the engine process."""
