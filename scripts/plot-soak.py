"""Draws the measurements of a soak test (tests/envoy/soak), once for light and once for dark pages.

    scripts/plot-soak.py docs/images/soak.csv docs/images/soak

writes docs/images/soak-light.svg and docs/images/soak-dark.svg.
"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

THEMES = {
    "light": {
        "text": "#1f2328", "faint": "#656d76", "grid": "#d8dee4",
        "memory": "#8250df", "clients": "#1a7f37", "gauge": "#0969da", "control_plane": "#bc4c00",
        "lost": "#cf222e",
    },
    "dark": {
        "text": "#e6edf3", "faint": "#8d96a0", "grid": "#30363d",
        "memory": "#bc8cff", "clients": "#3fb950", "gauge": "#58a6ff", "control_plane": "#f0883e",
        "lost": "#ff7b72",
    },
}
# Only rare events have a line of their own: pushes and outages come every minute.
MARKED = {"hot restart": "hot restart", "restart": "restart", "calm": "strangers go"}


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    events = [(float(row["seconds"]) / 60, what) for row in rows
              for what in row["event"].split(" + ") if what in MARKED]
    columns = {name: [float(row[name]) for row in rows] for name in rows[0] if name != "event"}
    return columns, events


def draw(columns, events, theme, path):
    minutes = [seconds / 60 for seconds in columns["seconds"]]
    plt.rcParams.update({
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
        "svg.hashsalt": "zonegate", "axes.edgecolor": theme["grid"], "text.color": theme["text"],
        "xtick.color": theme["faint"], "ytick.color": theme["faint"],
    })
    figure, (memory, streams, lost) = plt.subplots(
        3, 1, figsize=(9, 6.6), sharex=True, height_ratios=[3, 3, 1.4])

    memory.plot(minutes, columns["resident_mib"], color=theme["memory"], linewidth=1.4)
    memory.set_title("Memory of Envoy, MiB", loc="left", fontsize=10, color=theme["text"], pad=6)
    memory.set_ylim(top=max(columns["resident_mib"]) * 1.35)

    names = {"control_plane": "control plane", "clients": "good clients", "gauge": "zonegate.streams.open"}
    for name, label in names.items():
        streams.step(minutes, columns[name], where="post", color=theme[name], linewidth=1.2,
                     label=label)
    streams.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=3, frameon=False,
                   fontsize=8.5, borderaxespad=0, handlelength=1.2, columnspacing=1.4)
    streams.set_title("Open streams, as each of them says", loc="left", fontsize=10,
                      color=theme["text"], pad=6)

    lost.plot(minutes, columns["lost"], color=theme["lost"], linewidth=1.8)
    lost.set_title("Messages lost", loc="left", fontsize=10, color=theme["text"], pad=6)
    lost.set_ylim(top=max(2, max(columns["lost"]) * 1.2))
    lost.set_xlabel("minutes", color=theme["faint"])

    for axes in (memory, streams, lost):
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, minutes[-1])
        axes.grid(axis="y", color=theme["grid"], linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.spines[["top", "right", "left"]].set_visible(False)
        for at, _ in events:
            axes.axvline(at, color=theme["faint"], linewidth=0.8, linestyle=(0, (3, 3)))
    for at, what in events:
        is_late = at > 0.85 * minutes[-1]
        memory.annotate(MARKED[what], (at, 1), xycoords=("data", "axes fraction"),
                        xytext=(-4 if is_late else 4, -1), textcoords="offset points", va="top",
                        ha="right" if is_late else "left", fontsize=8.5, color=theme["faint"])
    figure.tight_layout(h_pad=1.2)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def main(table, picture):
    columns, events = read(table)
    for name, theme in THEMES.items():
        draw(columns, events, theme, f"{picture}-{name}.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
