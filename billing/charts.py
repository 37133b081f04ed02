"""Charts as the skin's script draws them: labels and rows as JSON, with an axis that can be read. Pure: no Django."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

COLOURS: Final = (
    "var(--color-primary-600)", "#d97706", "#7c3aed", "#0284c7", "#be123c", "#65a30d", "#c026d3", "#eab308",
    "#9ca3af",
)  # fmt: skip
GREY: Final = "#737b89"  # reads on white and on the dark ground alike
OPTIONS: Final = json.dumps(
    {
        "maintainAspectRatio": False,
        "responsive": True,
        "animation": False,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {"legend": {"display": False}, "tooltip": {"enabled": True}},
        "scales": {
            "x": {
                "grid": {"display": False},
                "ticks": {"color": GREY, "maxRotation": 0, "autoSkip": True, "maxTicksLimit": 12},
            },
            "y": {"beginAtZero": True, "ticks": {"color": GREY, "maxTicksLimit": 6}, "grid": {"tickWidth": 0}},
        },
    }
)
STACKED: Final = json.dumps(
    json.loads(OPTIONS)
    | {"scales": {axis: given | {"stacked": True} for axis, given in json.loads(OPTIONS)["scales"].items()}}
)


def bars(labels: Sequence[str], rows: Mapping[str, Sequence[Decimal | int]]) -> dict[str, Any]:
    """A bar chart of one or more named rows over the labels; `legend` is needed when there are several."""
    data: dict[str, Any] = {
        "labels": list(labels),
        "datasets": [
            # The picture only: the exact numbers stand in the table beside it.
            {
                "label": name,
                "data": [float(value) for value in values],
                "backgroundColor": colour,
                "maxBarThickness": 28,
            }
            for (name, values), colour in zip(rows.items(), COLOURS * (1 + len(rows) // len(COLOURS)), strict=False)
        ],
    }
    legend = [(each["label"], each["backgroundColor"]) for each in data["datasets"]]
    return {"data": json.dumps(data), "options": OPTIONS, "legend": legend if len(rows) > 1 else []}


def stacked(labels: Sequence[str], rows: Mapping[str, Sequence[Decimal | int]]) -> dict[str, Any]:
    """Bars on top of each other: only for rows that add up."""
    return bars(labels, rows) | {"options": STACKED}


def lines(labels: Sequence[str], rows: Mapping[str, Sequence[Decimal | int]]) -> dict[str, Any]:
    """A line for each row: for rows that do not add up, and to compare those that do."""
    chart = bars(labels, rows)
    data = json.loads(chart["data"])
    for each in data["datasets"]:
        each |= {"borderColor": each["backgroundColor"], "borderWidth": 2, "pointRadius": 2, "tension": 0}
    return chart | {"data": json.dumps(data), "type": "line"}
