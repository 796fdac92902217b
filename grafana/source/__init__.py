"""Grafana's dashboards as code, for developers alone: `make dashboards` writes the JSON that Tickertape ships."""
