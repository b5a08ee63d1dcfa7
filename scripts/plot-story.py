"""Draws a minute at a gateway (tests/envoy/story.rs), once for light and once for dark pages.

    scripts/plot-story.py docs/images/minute.csv docs/images/minute

writes docs/images/minute-light.svg and docs/images/minute-dark.svg.
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
        "streams": "#0969da", "old": "#bc4c00", "new": "#1a7f37", "expired": "#d4a72c",
        "wrong_zone": "#57606a", "unknown_kid": "#8250df", "revoked": "#cf222e",
    },
    "dark": {
        "text": "#e6edf3", "faint": "#8d96a0", "grid": "#30363d",
        "streams": "#58a6ff", "old": "#f0883e", "new": "#3fb950", "expired": "#d29922",
        "wrong_zone": "#8b949e", "unknown_kid": "#bc8cff", "revoked": "#ff7b72",
    },
}
# Refusals are counted over this many seconds.
WINDOW = 2.0


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    events = [(float(row["seconds"]), row["event"]) for row in rows if row["event"]]
    columns = {name: [float(row[name]) for row in rows] for name in rows[0] if name != "event"}
    return columns, events


def rate(seconds, counter):
    """The growth of a counter per second, over the last WINDOW seconds before each time."""
    rates, first = [], 0
    for last, now in enumerate(seconds):
        while seconds[first] < now - WINDOW:
            first += 1
        passed = now - seconds[first]
        rates.append((counter[last] - counter[first]) / passed if passed else 0.0)
    return rates


def label(axes, text, theme):
    axes.set_title(text, loc="left", fontsize=10, color=theme["text"], pad=6)


def draw(columns, events, theme, path):
    seconds = columns["seconds"]
    plt.rcParams.update({
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
        "svg.hashsalt": "zonegate", "axes.edgecolor": theme["grid"], "text.color": theme["text"],
        "xtick.color": theme["faint"], "ytick.color": theme["faint"],
    })
    figure, (streams, refusals, keys) = plt.subplots(
        3, 1, figsize=(9, 7.2), sharex=True, height_ratios=[3, 3, 2.4])

    streams.step(seconds, columns["streams_open"], where="post", color=theme["streams"],
                 linewidth=1.8)
    label(streams, "Open streams", theme)

    reasons = [name for name in theme if f"denied.{name}" in columns]
    rates = [rate(seconds, columns[f"denied.{reason}"]) for reason in reasons]
    refusals.stackplot(seconds, rates, colors=[theme[reason] for reason in reasons],
                       labels=reasons, linewidth=0)
    refusals.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=len(reasons),
                    frameon=False, fontsize=8.5, borderaxespad=0, handlelength=0.8,
                    handleheight=0.8, columnspacing=1.4, handletextpad=0.5)
    refusals.set_ylim(top=max(map(sum, zip(*rates))) * 1.1)
    label(refusals, "Refusals a second, by reason", theme)

    for kid in ("old", "new"):
        counted = columns[f"kid_allowed.{kid}"]
        keys.step(seconds, counted, where="post", color=theme[kid], linewidth=1.8)
        keys.annotate(f"{kid} key", (seconds[-1], counted[-1]), xytext=(5, 0), va="center",
                      textcoords="offset points", color=theme[kid], fontsize=9)
    keys.set_ylim(top=columns["kid_allowed.new"][-1] * 1.15)
    label(keys, "Connections let through, by key", theme)
    keys.set_xlabel("seconds", color=theme["faint"])

    for axes in (streams, refusals, keys):
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, seconds[-1])
        axes.grid(axis="y", color=theme["grid"], linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.spines[["top", "right", "left"]].set_visible(False)
        for at, _ in events:
            axes.axvline(at, color=theme["faint"], linewidth=0.8, linestyle=(0, (3, 3)))
    streams.set_ylim(top=max(columns["streams_open"]) * 1.45)
    for at, what in events:
        streams.annotate(what.replace(": ", "\n"), (at, 1), xycoords=("data", "axes fraction"),
                         xytext=(4, -1), textcoords="offset points", va="top", fontsize=8.5,
                         color=theme["faint"])
    figure.tight_layout(h_pad=1.2)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def main(table, picture):
    columns, events = read(table)
    for name, theme in THEMES.items():
        draw(columns, events, theme, f"{picture}-{name}.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
