"""Pages of a history that is asked for what is older than a number."""

from collections.abc import Awaitable, Callable

from tickertape.stream.feeds.adapt.rest import Asked, Row, Rows


async def downwards(asked: Asked, page: int, older: Callable[[str], Awaitable[list[Row]]]) -> Rows:
    """Request trades from a number on: the newest ones below the end of a page that begins there.

    Where it isn't known how many there are, the newest of all are requested first.

    Parameters
    ----------
    asked
        What is asked for.
    page
        The most trades of an answer.
    older
        Requests the newest trades, given what the address ends with: ``&after=8`` for those below number 8.
    """
    if asked.last is None:
        rows = await older("")
        if not rows or min(one.number for one in rows) <= asked.first:
            return Rows(rows, has_more=False)
    end = asked.first + asked.most(page)
    return Rows(await older(f"&after={end}"), has_more=asked.last is None or end <= asked.last)
