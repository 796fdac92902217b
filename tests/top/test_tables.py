"""The pipeline as tables and in words, by values written by hand."""

from tests.top.made import NOW_SECONDS, partition, state, topic, two, worker
from tickertape.stream.top import tables
from tickertape.stream.top.changes import changes


def texts(table: tables.Table, row: str) -> dict[str, str]:
    return {key: cell.text for key, cell in table.rows[row].items()}


def test_a_workers_row() -> None:
    found = tables.workers(two())
    expected = {"worker": "a", "inputs": "1", "shards": "1", "rate": "1,500", "lag": "8", "cpu": "25%"}
    assert texts(found, "a") == expected | {"memory": "200 MiB", "results": "12.3k"}
    assert found.rows["a"]["lag"].style == ""
    assert (texts(found, "b")["lag"], found.rows["b"]["lag"].style) == ("60.0k", "red")


def test_a_worker_of_which_only_kafka_knows_has_no_numbers() -> None:
    found = tables.workers(state(topic("trades", partition(0, None)), workers=(worker("a"),)))
    assert texts(found, "a") == {"worker": "a", "inputs": "0", "shards": "0", "lag": "0"}
    assert found.rows["a"]["inputs"].style == "yellow"
    # And no column, where nobody has them.
    assert [column.key for column in found.columns] == ["worker", "inputs", "shards", "lag"]


def test_a_workers_rate_is_unknown_until_all_of_its_partitions_have_one() -> None:
    parts = partition(0, "a", records_per_second=5.0), partition(1, "a")
    assert "rate" not in tables.workers(state(topic("trades", *parts), workers=(worker("a"),))).rows["a"]


def test_a_partitions_row() -> None:
    found = tables.partitions(two("a", None), NOW_SECONDS)
    expected = {"partition": "trades 0", "owner": "a", "rate": "1,500", "lag": "7", "age": "0.5 s", "late": "3"}
    assert texts(found, "trades 0") == expected | {"rejected": "0", "end": "1,000"}
    other = found.rows["trades 1"]
    assert (other["owner"].text, other["owner"].style) == ("nobody", "bold red")
    assert (other["age"].text, other["age"].style) == ("9.0 s", "red")
    assert "late" not in other
    # As the pipeline has them: inputs first, and 10 after 9.
    parts = [partition(number, "a") for number in range(11)]
    many = tables.partitions(state(topic("trades", *parts), topic("slices", partition(0, "a"), is_input=False)))
    names = sorted(many.rows, key=lambda name: many.rows[name]["partition"].value or 0)
    assert names == [*(f"trades {number}" for number in range(11)), "slices 0"]


def test_the_pipeline_in_a_line() -> None:
    said = "2 workers   1,750 records/s   lag 60.0k   watermark age 9.0 s   late 3   rejected 0"
    assert tables.line(two(), NOW_SECONDS) == said
    alone = tables.line(two("a", None, stable=False), NOW_SECONDS)
    assert alone.startswith("1 worker, rebalancing   ")
    assert alone.endswith("   2 partitions without an owner")
    assert tables.line(state(), NOW_SECONDS) == "0 workers   0 records/s   lag 0   late 0   rejected 0"


def test_what_happened_is_told() -> None:
    assert list(changes(two(), two(rate=9.0))) == []
    assert list(changes(two(), two("a", None, stable=False))) == [
        "worker b is gone",
        "the workers share the partitions anew",
    ]
    assert list(changes(two("a", None, stable=False), two("a", "a"))) == ["a took over 1 of slices, 1 of trades"]
    joined = ["worker b has joined", "b took over 1 of slices, 1 of trades"]
    assert list(changes(two("a", "a"), two())) == joined
    before, after = (state(topic("trades", *(partition(number, "a") for number in range(n)))) for n in (2, 4))
    assert list(changes(before, after)) == ["trades has 4 partitions, 2 before"]
