"""A working directory on its way to a node: which files, and how they are packed."""
