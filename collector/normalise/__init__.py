"""From the text of a metric page to readings with a reason for each that is missing. Pure."""
