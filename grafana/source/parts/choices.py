"""The variables at the top of a page: what of all there is to show."""

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from grafana.source.parts.panels import PROMETHEUS

ALL = VariableOption(text=["All"], value=["$__all"])
MINUTE = VariableOption(text="1m", value="1m")
# The kind of query that finds the values of a label.
LABEL_VALUES = 1
# Where `tickertape console` serves its page by default.
CONSOLE = "http://127.0.0.1:8080"


def prometheus() -> DatasourceVariable:
    """Return the variable that chooses a Prometheus; the provisioned one is the default."""
    return (
        DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus to query.")
        .type("prometheus")
        .current(VariableOption(text="Prometheus", value="tickertape-prometheus"))
    )


def console() -> TextBoxVariable:
    """Return the variable that says where the console is, for the links to it."""
    return (
        TextBoxVariable("console")
        .label("Console")
        .description("The address of Tickertape's own page, as this browser reaches it.")
        .default_value(CONSOLE)
        .current(VariableOption(text=CONSOLE, value=CONSOLE))
    )


def worker() -> QueryVariable:
    """Return the variable that chooses workers."""
    return several("instance", "Worker", "Workers to show.", "label_values(tickertape_owned_partitions, instance)")


def symbol(values: str) -> QueryVariable:
    """Return the variable that chooses symbols, of those that a query finds."""
    return several("symbol", "Symbol", "Symbols on the watch list: the workers' setting `watch`.", values)


def source(values: str) -> QueryVariable:
    """Return the variable that chooses sources, of those that a query finds."""
    everything = VariableOption(text="all", value="all")
    return several("source", "Source", "Exchanges or networks; `all` is all of them combined.", values, everything)


def single(name: str, label: str, description: str, values: str, chosen: VariableOption) -> QueryVariable:
    """Return a variable that chooses one of the values that a query finds."""
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .definition(values)
        .query({"qryType": LABEL_VALUES, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .current(chosen)
    )


def several(name: str, label: str, description: str, values: str, chosen: VariableOption = ALL) -> QueryVariable:
    """Return a variable that chooses any of the values that a query finds, or all of them."""
    return single(name, label, description, values, chosen).multi(True).include_all(True).all_value(".*")
