"""catalogue.yaml: what the owner declares, read into `collector.model.catalogue`.

`read_catalogue(path)` for once, `CatalogueWatch(path)` for a process that lives on while the owner
edits. `schema.CatalogueFile` is the form of the file and the source of its published JSON Schema.
"""

from collector.catalogue_file.read import parse_catalogue, read_catalogue
from collector.catalogue_file.watch import CatalogueWatch

__all__ = ["CatalogueWatch", "parse_catalogue", "read_catalogue"]
