"""What a valid pipeline can still get wrong."""
