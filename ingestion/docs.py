"""``/docs`` and ``/openapi.json``, without a key and without any address but our own.

Swagger UI comes from the ``fastapi-offline`` package, used for its assets alone.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import FastAPI, Response
from starlette.responses import FileResponse

from common.errors import ConfigurationError
from ingestion.problems import refuse

_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_START: Final = b"""window.onload = () => SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: false, validatorUrl: null,
});
"""
_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headrace API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# Swagger UI sets styles in its elements and draws icons from data URLs; nothing else is let in.
_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
_HEADERS: Final = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff"}


def add_docs(app: FastAPI, document: dict[str, Any]) -> None:
    """Add the page, its assets and the document."""
    folder = _asset_folder()
    text = orjson.dumps(document)

    async def openapi() -> Response:
        return Response(text, media_type="application/json")

    async def page() -> Response:
        return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)

    async def start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_HEADERS)

    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            raise refuse("not_found", "There is nothing at this address. See /docs.")
        headers = {**_HEADERS, "cache-control": "public, max-age=3600"}
        return FileResponse(folder / name, media_type=_ASSETS[name], headers=headers)

    app.add_api_route("/openapi.json", openapi, include_in_schema=False)
    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/start.js", start, include_in_schema=False)
    app.add_api_route("/docs/{name}", asset, include_in_schema=False)


def _asset_folder() -> Path:
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise ConfigurationError("the package fastapi-offline is missing. Install headrace again.")
    return Path(found.origin).parent / "static"
