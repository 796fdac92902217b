"""The limits of the exchanges that we ask, by their own documents."""

from tickertape.stream.feeds.hosts.limit import Busy, Limit, Limits

#: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits, and …/web-socket-streams. Requests count
#: by their weight.
BINANCE = Limits(connections=Limit(300, 300.0), requests=Limit(6000, 60.0))
#: https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info. It says nothing of connections;
#: the limit of spot is taken.
BINANCE_USDM = Limits(connections=Limit(300, 300.0), requests=Limit(2400, 60.0))
#: https://bybit-exchange.github.io/docs/v5/rate-limit. It also answers 403 to the countries that it doesn't serve, by a
#: page of its network that says so.
BYBIT = Limits(connections=Limit(500, 300.0), requests=Limit(600, 5.0), busy=(Busy(403, 600.0, unless="your country"),))
#: https://docs.cdp.coinbase.com/exchange/websocket-feed/rate-limits and …/exchange/rest-api/rate-limits; for Advanced
#: …/coinbase-app/advanced-trade-apis/websocket/websocket-rate-limits and …/rest-api/rate-limits. The figures are alike.
COINBASE = Limits(connections=Limit(8, 1.0), requests=Limit(10, 1.0))
#: https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits, and support.kraken.com on the limits of its WebSocket.
#: A request that is refused has the status 200.
KRAKEN = Limits(
    connections=Limit(150, 600.0),
    requests=Limit(1, 1.0),
    busy=(Busy(200, 10.0, "EGeneral:Too many requests"), Busy(200, 10.0, "EAPI:Rate limit exceeded")),
)
#: https://www.okx.com/docs-v5/en. Each address of its REST has a limit; this is the lowest of those that we ask.
OKX = Limits(connections=Limit(3, 1.0), requests=Limit(20, 2.0))
