"""Files of Databento: made with its own library, databento-dbn 0.72, and what they hold by its documents."""

import base64
import zlib
from pathlib import Path

import pytest
from backports import zstd

from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import reading
from tickertape.stream.feeds.files.dbn import events
from tickertape.stream.feeds.tally import Tally

# Five trades of three instruments, of which one has no symbol; in each version of the encoding.
V1 = (
    "c-nJu@?&&hWMGK!a}3t=3~}~gfB+UC)-wAyXSz7Uiv@L}bAdDz{D%TY266xs5IZ^s_+ZNT2D^n|ih^tja16pB<L4jXN{SsIJ*PIC"
    "FrEftV+(BV!|e)~K0^Zw3rwv%KwH&-w1amUIMf<KJ#BP={1hM#acW>Nm|6iA7X<QOGUHZnghzdc76Zcqy<V`mgRi!37*LKKq~5WC"
    "VM0YeT>UE~^Os+q0#VQP*IEbalMufKhUv1?;p$&Q)hB~IBD4e&>!)T}!+Z`h|3maLxcWCh^#IX6TiO"
)
V2 = (
    "c-nJu@?$!|#J~{Y=NPQ#8RG2000AsOtY!9Z&UA5x7Yph{=K^UcU}Ru$XCNB@tzvL=4Dex~9QX#ig;2p5pnn(w9D}H3l%IcqD;12Q"
    "VmN_Zb!xK-<7pr^wqRfwTtN?WnW2G&1r;2}0}MGeAno8?22Q;Vp`JE6Kz<4khd4Db7)-4IiwgqzFPU+xH^QU7LyLi7fnG0I+`(5{"
    "Hw-Ap4pQ&fz%ZerAFlotlKIOoPl2fC`fIHN^?Hb31H*LL>2US0q3V-C9uZms$$h70S;K+~Wd4WfWpMRxfa(GIj#RS"
)
V3 = (
    "c-nJu@?$>1#J~{Y=NPQ#8RG2000AsOtY!9Z&UA5x7Yph{=K^UcU}Ru$XCNB@tzvL=4Dex~9QX#ig;2p5pnn(w9D}H3l%IcqD;12Q"
    "VmN_Zb!xK-<7pr^wqRfwTtN?WnW2G&1r;2}0}MGeAno8?22Q;Vp`JE6Kz<4khd4Db7)-4IiwgqzFPU+xH^QU7LyLi7fnG0I+`(5{"
    "Hw-Ap4pQ&fz%ZerAFlotlKIOoPl2fC`fIHN^?Hb31H*LL>2US0q3V-C9uZms$$h70S;K+~Wd4WfWpMRxfa(GMOH{M"
)
# Four records of `mbp-1`: an order, a trade, the order that it has met, and a book whose asks are gone.
BOOK = (
    "c-nJu@?$>1#J~{Y=NPQ#8RG2000E3ZtY!9Z&UA5x7Yph{=K^Vjj5`C_0B9A1qho*%1LeRs*e!$##(;bp;21<Lqx}2>T&Z9b6~hVS"
    "s#BXy7*7MSu>}Le;0k(}%M1-HEU4f(5k@8kH6ZQaWC=;V`!`tY0Qo0C;px=CV9;X?78eBaFR}v(sC+}HrwvS<4$xi9K$-=~yoMGJ"
    "us)c&6d(?9VqhpZ=LI+K5{2eDJ2nty9tfkGci>n!ig_oX=4}v&f}3|4$-Ms%P=5j%ZZPuzS_fd}"
)


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text))


def read(path: Path, content: bytes) -> tuple[list[object], list[str]]:
    path.write_bytes(content)
    bad: list[str] = []
    return list(events(path, bad.append)), bad


@pytest.mark.parametrize("packed", [V1, V2, V3], ids=["1", "2", "3"])
def test_trades_have_the_symbol_of_their_instrument(tmp_path: Path, packed: str) -> None:
    found, bad = read(tmp_path / "x.dbn", unpacked(packed))
    first = Trade(
        symbol="AAPL",
        source="xnas.itch",
        id="1700000000005000000-1001-0",
        sequence=1001,
        time_ms=1_700_000_000_005,
        price=189.99,
        quantity=100.0,
        side="buy",
        received_ms=1_700_000_000_005,
    )
    assert found[0] == first
    assert [(t.symbol, t.id, t.price, t.quantity, t.side) for t in found[1:] if isinstance(t, Trade)] == [
        # Of the same time and sequence as the one before.
        ("AAPL", "1700000000005000000-1001-1", 189.99, 50.0, "buy"),
        ("MSFT", "1700000000006500000-1002-0", 370.125, 7.0, "sell"),
        ("AAPL", "1700000000007000999-1003-0", 189.985, 1.0, None),
    ]
    assert bad == [f"{tmp_path / 'x.dbn'}: record 5: no symbol is known of the instrument 99 at that time"]


def test_a_quote_is_of_a_book_that_is_whole(tmp_path: Path) -> None:
    found, bad = read(tmp_path / "x.dbn", unpacked(BOOK))
    assert bad == []
    quotes = [(q.id, q.time_ms, q.bid, q.bid_quantity, q.ask, q.ask_quantity) for q in found if isinstance(q, Quote)]
    assert quotes == [
        (1_700_000_000_001_150_000, 1_700_000_000_001, 189.98, 200.0, 189.99, 300.0),
        (1_700_000_000_002_150_000, 1_700_000_000_002, 189.98, 200.0, 189.99, 200.0),
    ]
    assert [type(each) for each in found] == [Quote, Trade, Quote, Other]


def test_a_compressed_file_is_read_by_its_format(tmp_path: Path) -> None:
    path, tally = tmp_path / "x.dbn.zst", Tally()
    path.write_bytes(zstd.compress(unpacked(V3)))
    found = list(reading.read([path], format_named("dbn", ()), tally, source="nasdaq"))
    assert [(event.source, event.time_ms) for event in found] == [
        ("nasdaq", 1_700_000_000_005),
        ("nasdaq", 1_700_000_000_005),
        ("nasdaq", 1_700_000_000_006),
        ("nasdaq", 1_700_000_000_007),
    ]
    assert (tally.bad, dict(tally.events)) == (1, {"trades": 4})


@pytest.mark.parametrize("cut", [3, 7, 50, 200, 700])
def test_a_damaged_header_is_one_line(tmp_path: Path, cut: int) -> None:
    with pytest.raises(InputError, match=r"isn't DBN|is damaged"):
        read(tmp_path / "x.dbn", unpacked(V3)[:cut])


def test_a_cut_record_is_told_of_and_any_bytes_are_an_error_or_events(tmp_path: Path) -> None:
    whole = unpacked(V3)
    found, bad = read(tmp_path / "x.dbn", whole[:-60])
    assert len(found) == 3
    assert bad == [f"{tmp_path / 'x.dbn'}: record 4: it is cut off"]
    for at in range(0, len(whole), 3):
        for byte in (0, 1, 0x7F, 0xFF):
            try:
                found, _ = read(tmp_path / "x.dbn", whole[:at] + bytes([byte]) + whole[at + 1 :])
            except InputError:
                continue
            assert all(isinstance(each, Trade | Quote | Other) for each in found)


def test_a_number_is_of_an_instrument_only_on_its_days(tmp_path: Path) -> None:
    # The mapping ends when it begins.
    dated = unpacked(V3).replace((20231115).to_bytes(4, "little"), (20231114).to_bytes(4, "little"))
    found, bad = read(tmp_path / "x.dbn", dated)
    assert (found, len(bad)) == ([], 5)
    assert bad[0].endswith("record 1: no symbol is known of the instrument 38 at that time")
