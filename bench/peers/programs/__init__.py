"""One program a peer, each run by the Python of the peer's own environment, or by Java.

Run: python -m bench.peers.programs.NAME BROKER INPUT SINK EVENTS

Each reads the topic INPUT, which has EVENTS trades as JSON, and writes a record to the topic SINK for each symbol and
second of event time: symbol, start_ms, open, high, low, close, volume, vwap, buy_volume and count. So these modules
import nothing of Tickertape, which isn't installed there.
"""
