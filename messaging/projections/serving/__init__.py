"""What readers see: rows of the live generation, pages, one's own writes."""
