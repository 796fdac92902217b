"""Names as codes, and the codes of several of them in one."""

from tickertape.stream.engine.core.names import InputNames, Names, Translation


def named(*names: str) -> Names:
    found = Names()
    for name in names:
        found[name]
    return found


def test_names_of_several_have_one_code() -> None:
    translation, one, other = Translation(100), named("A", "B"), named("B", "C")
    assert [translation.names[code] for code in translation.of(one).tolist()] == ["A", "B"]
    assert [translation.names[code] for code in translation.of(other).tolist()] == ["B", "C"]
    assert translation.of(one)[1] == translation.of(other)[0]
    one["D"]
    assert [translation.names[code] for code in translation.of(one).tolist()] == ["A", "B", "D"]
    assert len(translation.names) == 4


def test_names_that_got_other_codes_are_translated_anew() -> None:
    translation, names = Translation(100), InputNames(2)
    for name in ("A", "B", "C"):
        names[name]
    assert [translation.names[code] for code in translation.of(names).tolist()] == ["A", "B", "C"]
    names.keep(["C", "A"])
    assert [translation.names[code] for code in translation.of(names).tolist()] == ["C", "A"]


def test_names_are_forgotten_when_there_are_too_many() -> None:
    translation = Translation(2)
    translation.of(named("A", "B", "C"))
    translation.begin()
    assert translation.names == []
    kept = named("D")
    assert [translation.names[code] for code in translation.of(kept).tolist()] == ["D"]
    translation.begin()
    assert translation.names == ["D"]
