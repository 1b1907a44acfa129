"""The measured part of docs/performance.md, and its plot, from the results that the runs left.

Everything between the two marks is written anew; the text around it is people's. Nothing is measured
here, and no figure is typed by hand.
"""

import json
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PLOT = "performance.svg"
_TITLES = {
    "prepare": "CSV to splits",
    "word2vec": "One word2vec set, trained and measured on validation",
}
_MIB = 2**20


def write_report(work: Path, report: Path) -> None:
    """Write tables and plot from every result in `work` into `report` (made if it is not there)."""
    found = {
        kind: sorted(
            (json.loads(path.read_text()) for path in work.glob(f"{kind}-*.json")),
            key=lambda one: one["rows"],
        )
        for kind in (*_TITLES, "growth")
    }
    blocks = [_comparison(title, one) for kind, title in _TITLES.items() for one in found[kind]]
    blocks += [_growth(one) for one in found["growth"][-1:]]
    _plot(found, report.with_name(PLOT))
    text = report.read_text() if report.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    measured = "\n\n".join([f"![seconds, memory and growth]({PLOT})", *blocks])
    report.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}")
    print(f"{report} written")


def _comparison(title: str, found: dict[str, Any]) -> str:
    columns = ["seconds", "processor s", "peak MiB", "seconds / ours", "peak / ours"]
    rows = {
        name: [
            f"{one['seconds']:.1f}",
            f"{one['processor']:.1f}",
            f"{one['peak'] / _MIB:,.0f}",
            f"{one['seconds_ratio']:.2f}",
            f"{one['peak_ratio']:.2f}",
        ]
        for name, one in found["results"].items()
    }
    if all("hit_rate" in one for one in found["results"].values()):
        columns.append("hit rate @100, % (95 %)")
        for name, one in found["results"].items():
            rows[name].append(_hit_rate(**one["hit_rate"]))
    lines = [
        f"### {title}: {found['rows']:,} rows",
        "",
        f"| | {' | '.join(columns)} |",
        "|---" * (1 + len(columns)) + "|",
        *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()),
    ]
    return "\n".join([*lines, "", _origin(found)])


def _hit_rate(value: float, playlists: float) -> str:
    """Return a share of so many playlists in percent, with the binomial interval around it."""
    around = 1.96 * (value * (1 - value) / playlists) ** 0.5
    low, high = max(value - around, 0.0), min(value + around, 1.0)
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f}), {playlists:,.0f} playlists"


def _growth(found: dict[str, Any]) -> str:
    sizes = list(found["results"])
    runs = [found["results"][size] for size in sizes]
    rows = {
        step: [one["steps"].get(step) for one in runs]
        for step in sorted(runs[-1]["steps"], key=runs[-1]["steps"].get, reverse=True)
    }
    rows |= {
        "**whole process, s**": [one["seconds"] for one in runs],
        "**processor, s**": [one["processor"] for one in runs],
        "**peak, MiB**": [one["peak"] / _MIB for one in runs],
    }
    lines = [
        "### Growth of a whole refresh: seconds by step",
        "",
        "| | " + " | ".join(f"{int(size):,}" for size in sizes) + " | tenth to whole, times |",
        "|---|" + "---|" * (len(sizes) + 1),
    ]
    for name, values in rows.items():
        cells = ["" if one is None else f"{one:,.2f}" for one in values]
        tenth = dict(zip(sizes, values, strict=True)).get(str(found["rows"] // 10))
        cells.append(f"{values[-1] / tenth:.1f}" if tenth else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _origin(found)])


def _origin(found: dict[str, Any]) -> str:
    rounds = "One round" if found["rounds"] == 1 else f"Medians of {found['rounds']} rounds"
    return f"{rounds}, {found['date']}: {found['machine']}."


def _plot(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "recsys_assets"
    import matplotlib.pyplot as plt

    figure, (seconds, peak, growth) = plt.subplots(1, 3, figsize=(13, 4))
    bars = {
        f"{kind}, {name}": one
        for kind in _TITLES
        for largest in found[kind][-1:]
        for name, one in largest["results"].items()
    }
    labels = list(bars)[::-1]
    seconds.barh(labels, [bars[label]["seconds"] for label in labels])
    seconds.set_xlabel("seconds, whole process")
    peak.barh(labels, [bars[label]["peak"] / _MIB for label in labels])
    peak.set_xlabel("peak memory, MiB")
    peak.set_yticks([])
    for measured in found["growth"][-1:]:
        sizes = [int(size) for size in measured["results"]]
        whole = [measured["results"][str(size)]["seconds"] for size in sizes]
        growth.loglog(sizes, whole, marker="o")
        growth.set_xlabel("rows")
        growth.set_ylabel("seconds, a whole refresh")
        growth.grid(visible=True, which="both", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
