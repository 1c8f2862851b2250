"""Who may decide. Only narrows what the plan chose; never adds or widens. Pure."""
