"""Everything that touches Prefect's insides, and what an engine process holds."""
