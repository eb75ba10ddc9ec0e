"""What keeps streams, chunks, events and rollups."""
