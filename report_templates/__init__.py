"""Report templates, as package data."""
