"""GraphiQL, offline: a page of ours and vendored files, whose checksums a test verifies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.responses import FileResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).parent / "static"
PAGE: Final = STATIC / "graphiql.html"
# Nothing from elsewhere. GraphiQL sets style attributes and embeds its fonts and icons as data.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def graphiql_page() -> FileResponse:
    """The page itself."""
    return FileResponse(
        PAGE, headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
    )


def static_files() -> Mount:
    """The files that the page loads, under /static."""
    return Mount("/static", StaticFiles(directory=STATIC), name="static")
