"""Run commands and move files on a node: runners, and the client of the node agent."""
