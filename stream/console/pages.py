"""The routes of the page: its files, zipped, with a policy that lets nothing else in."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tickertape.stream.console import assets
from tickertape.stream.console.assets import Asset

SECURITY = {
    "Content-Security-Policy": assets.policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def routes() -> list[Route]:
    """Return the routes of the page and of all its files.

    Raises
    ------
    ConfigError
        The installed chart library isn't the one that the page was written for.
    """
    pages = Pages(assets.load())
    return [Route("/", pages.page), Route("/{path:path}", pages.file)]


class Pages:
    """Sends the files; a browser that has a file's newest version is told so, and gets nothing.

    Parameters
    ----------
    files
        The files by path.
    """

    def __init__(self, files: Mapping[str, Asset]) -> None:
        self._files = files

    async def page(self, request: Request) -> Response:
        return self._answer(request, "index.html")

    async def file(self, request: Request) -> Response:
        return self._answer(request, request.path_params["path"])

    def _answer(self, request: Request, path: str) -> Response:
        asset = self._files.get(path)
        if asset is None:
            raise HTTPException(404)
        # A browser asks each time, which costs nothing on one machine; a new version is never mixed with an old one.
        headers = SECURITY | {"ETag": asset.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == asset.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.zipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
        return Response(asset.plain, headers=headers, media_type=asset.media_type)
