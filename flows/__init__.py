"""The Prefect flows: a pipeline, and each of its stages."""
