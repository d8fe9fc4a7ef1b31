"""What we compute: measures that the stream folds, features that are derived at the moment of a read. Pure."""

from features.catalogue import Catalogue, CatalogueError, load_catalogue

__all__ = ["Catalogue", "CatalogueError", "load_catalogue"]
