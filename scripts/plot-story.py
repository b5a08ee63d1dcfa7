"""Draws a minute at a gateway (tests/envoy/story.rs), once for light and once for dark pages.

    scripts/plot-story.py docs/images/minute.csv docs/images/minute

writes docs/images/minute-light.svg and docs/images/minute-dark.svg.
"""

import plotting

THEMES = {
    "light": plotting.LIGHT | {
        "streams": "#0969da", "old": "#bc4c00", "new": "#1a7f37", "expired": "#d4a72c",
        "wrong_zone": "#57606a", "unknown_kid": "#8250df", "revoked": "#cf222e",
    },
    "dark": plotting.DARK | {
        "streams": "#58a6ff", "old": "#f0883e", "new": "#3fb950", "expired": "#d29922",
        "wrong_zone": "#8b949e", "unknown_kid": "#bc8cff", "revoked": "#ff7b72",
    },
}
# Refusals are counted over this many seconds.
WINDOW = 2.0


def read(path):
    rows, columns = plotting.read(path)
    return columns, [(float(row["seconds"]), row["event"]) for row in rows if row["event"]]


def rate(seconds, counter):
    """The growth of a counter per second, over the last WINDOW seconds before each time."""
    rates, first = [], 0
    for last, now in enumerate(seconds):
        while seconds[first] < now - WINDOW:
            first += 1
        passed = now - seconds[first]
        rates.append((counter[last] - counter[first]) / passed if passed else 0.0)
    return rates


def draw(columns, events, theme, path):
    seconds = columns["seconds"]
    figure, axes = plotting.panels(theme, 7.2, [3, 3, 2.4])
    streams, refusals, keys = axes

    streams.step(seconds, columns["streams_open"], where="post", color=theme["streams"],
                 linewidth=1.8)
    plotting.label(streams, "Open streams", theme)

    reasons = [name for name in theme if f"denied.{name}" in columns]
    rates = [rate(seconds, columns[f"denied.{reason}"]) for reason in reasons]
    refusals.stackplot(seconds, rates, colors=[theme[reason] for reason in reasons],
                       labels=reasons, linewidth=0)
    plotting.legend(refusals, ncols=len(reasons), handlelength=0.8, handleheight=0.8,
                    handletextpad=0.5)
    refusals.set_ylim(top=max(map(sum, zip(*rates))) * 1.1)
    plotting.label(refusals, "Refusals a second, by reason", theme)

    for kid in ("old", "new"):
        counted = columns[f"kid_allowed.{kid}"]
        keys.step(seconds, counted, where="post", color=theme[kid], linewidth=1.8)
        keys.annotate(f"{kid} key", (seconds[-1], counted[-1]), xytext=(5, 0), va="center",
                      textcoords="offset points", color=theme[kid], fontsize=9)
    keys.set_ylim(top=columns["kid_allowed.new"][-1] * 1.15)
    plotting.label(keys, "Connections let through, by key", theme)
    keys.set_xlabel("seconds", color=theme["faint"])

    plotting.over_time(axes, seconds[-1], events, theme)
    streams.set_ylim(top=max(columns["streams_open"]) * 1.45)
    for at, what in events:
        plotting.annotate(streams, at, what.replace(": ", "\n"), theme)
    plotting.save(figure, path)


if __name__ == "__main__":
    plotting.main(read, draw, THEMES)
