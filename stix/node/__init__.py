"""The node agent, and how its zipapp is built."""
