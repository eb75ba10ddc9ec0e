"""Rollups to reports."""
