"""Bytes to records to typed events."""
