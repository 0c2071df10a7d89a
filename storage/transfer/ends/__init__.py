"""What a copy reads and writes: files of this machine, buckets, and any fsspec filesystem."""
