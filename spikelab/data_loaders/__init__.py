"""Loaders and export functions, under the import paths of the specification."""
