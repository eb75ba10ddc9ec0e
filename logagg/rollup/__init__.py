"""Partials to minutes, hours, days, weeks and months."""
