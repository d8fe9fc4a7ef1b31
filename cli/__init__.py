"""The composition roots: real clients are built, and rooms are put together, only here."""

from runtime import native

native.install()
