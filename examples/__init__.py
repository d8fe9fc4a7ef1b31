"""Catalogues of other businesses, to copy from."""
