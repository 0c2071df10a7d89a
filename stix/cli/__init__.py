"""The command line: one small file per command group, each imported when it is called."""
