"""What the command line and Python change in a pipeline before it is read."""
