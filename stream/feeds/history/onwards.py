"""Pages of a history that is asked from a time on."""

from collections.abc import Awaitable, Callable

from tickertape.stream.feeds.adapt.rest import Asked, Row, Rows

# More pages without a trade that is asked for are no history.
_MOST_PAGES = 100


async def onwards(asked: Asked, begin: str, page: Callable[[str], Awaitable[tuple[list[Row], str]]]) -> Rows:
    """Request trades from a time on, until a page has one that is asked for: before it are those of the same time.

    Parameters
    ----------
    asked
        What is asked for.
    begin
        Where the first page begins.
    page
        Requests a page, given where it begins, and returns it with where the next one begins; empty if it is the last.

    Raises
    ------
    ValueError
        The pages don't get to what is asked for.
    """
    at = begin
    for _ in range(_MOST_PAGES):
        rows, following = await page(at)
        newest = max((one.number for one in rows), default=-1)
        if newest >= asked.first or not following:
            return Rows(rows, has_more=bool(following) and (asked.last is None or newest < asked.last))
        if following == at:
            break
        at = following
    raise ValueError(f"its pages from {begin} on don't get to trade {asked.first}")
