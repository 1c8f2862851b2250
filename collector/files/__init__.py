"""Reading the YAML files that people write: values with their lines, units, and readable problems."""
