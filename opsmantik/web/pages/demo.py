"""The demo businesses' landing pages: there is a tap to make on them, and a tracker that sees it.

They exist only where the demo's sites do: an installation without the demo answers 404.
"""

from __future__ import annotations

from litestar import Response, get

from opsmantik.demo import pages
from opsmantik.errors import NotFound
from opsmantik.web.rendering import PageRequest

PUBLIC = {"public": True}


@get("/demo/landing.css", opt=PUBLIC)
async def stylesheet() -> Response[str]:
    """The one style sheet of these pages."""
    return Response(
        pages.stylesheet(), media_type="text/css; charset=utf-8", headers={"cache-control": "max-age=3600"}
    )


@get(["/demo/{slug:str}", "/demo/{slug:str}/{name:str}"], opt=PUBLIC)
async def landing_page(request: PageRequest) -> Response[str]:
    """One page of one business."""
    slug, name = request.path_params["slug"], request.path_params.get("name", "")
    business = pages.LANDING_PAGES.get(slug)
    if business is None or request.app.state.collect.registry.find(business.public_id) is None:
        raise NotFound(what="page")
    html = pages.render(slug, name)
    if html is None:
        raise NotFound(what="page")
    return Response(html, media_type="text/html; charset=utf-8")


HANDLERS = [stylesheet, landing_page]
