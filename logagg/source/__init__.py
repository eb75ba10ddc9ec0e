"""Where logs come from: files followed through their rotations."""
