"""Files as responses: static ones, downloads, and what both stand on."""
