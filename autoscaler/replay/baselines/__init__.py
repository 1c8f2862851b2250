"""Other autoscalers' laws as replay policies, as faithful as their sources allow; a file per family."""
