"""What the pictures of measurements share: three panels over one time axis, for light and for dark pages."""

import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

LIGHT = {"text": "#1f2328", "faint": "#656d76", "grid": "#d8dee4"}
DARK = {"text": "#e6edf3", "faint": "#8d96a0", "grid": "#30363d"}


def read(path):
    """The rows of a table, and its columns of numbers by their names."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, {name: [float(row[name]) for row in rows] for name in rows[0] if name != "event"}


def panels(theme, height, ratios):
    """A figure of three panels."""
    plt.rcParams.update({
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
        "svg.hashsalt": "zonegate", "axes.edgecolor": theme["grid"], "text.color": theme["text"],
        "xtick.color": theme["faint"], "ytick.color": theme["faint"],
    })
    return plt.subplots(3, 1, figsize=(9, height), sharex=True, height_ratios=ratios)


def label(axes, text, theme):
    axes.set_title(text, loc="left", fontsize=10, color=theme["text"], pad=6)


def legend(axes, **options):
    """A legend above the panel, at its right end."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.99), frameon=False, fontsize=8.5,
                borderaxespad=0, columnspacing=1.4, **options)


def over_time(all_axes, end, events, theme):
    """Time axes from 0 to `end`, with a line at each event."""
    for axes in all_axes:
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, end)
        axes.grid(axis="y", color=theme["grid"], linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.spines[["top", "right", "left"]].set_visible(False)
        for at, _ in events:
            axes.axvline(at, color=theme["faint"], linewidth=0.8, linestyle=(0, (3, 3)))


def annotate(axes, at, text, theme, left=False):
    """Text beside the line of an event."""
    axes.annotate(text, (at, 1), xycoords=("data", "axes fraction"), xytext=(-4 if left else 4, -1),
                  textcoords="offset points", va="top", ha="right" if left else "left",
                  fontsize=8.5, color=theme["faint"])


def save(figure, path):
    figure.tight_layout(h_pad=1.2)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def main(read, draw, themes):
    """Reads the table that the command line names first, and draws it with each theme."""
    table, picture = sys.argv[1:]
    columns, events = read(table)
    for name, theme in themes.items():
        draw(columns, events, theme, f"{picture}-{name}.svg")
