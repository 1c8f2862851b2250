"""What a replica sustains, learned from engines near saturation. Pure."""
