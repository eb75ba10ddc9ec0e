"""Event grammars and the grammars of the pattern languages, as package data."""
