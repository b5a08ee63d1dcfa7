"""Draws the measurements of a soak test (tests/envoy/soak), once for light and once for dark pages.

    scripts/plot-soak.py docs/images/soak.csv docs/images/soak

writes docs/images/soak-light.svg and docs/images/soak-dark.svg.
"""

import plotting

THEMES = {
    "light": plotting.LIGHT | {
        "memory": "#8250df", "clients": "#1a7f37", "gauge": "#0969da", "control_plane": "#bc4c00",
        "lost": "#cf222e",
    },
    "dark": plotting.DARK | {
        "memory": "#bc8cff", "clients": "#3fb950", "gauge": "#58a6ff", "control_plane": "#f0883e",
        "lost": "#ff7b72",
    },
}
# Only rare events have a line of their own: pushes and outages come every minute.
MARKED = {"hot restart": "hot restart", "restart": "restart", "calm": "strangers go"}


def read(path):
    rows, columns = plotting.read(path)
    events = [(float(row["seconds"]) / 60, what) for row in rows
              for what in row["event"].split(" + ") if what in MARKED]
    return columns, events


def draw(columns, events, theme, path):
    minutes = [seconds / 60 for seconds in columns["seconds"]]
    figure, axes = plotting.panels(theme, 6.6, [3, 3, 1.4])
    memory, streams, lost = axes

    memory.plot(minutes, columns["resident_mib"], color=theme["memory"], linewidth=1.4)
    plotting.label(memory, "Memory of Envoy, MiB", theme)
    memory.set_ylim(top=max(columns["resident_mib"]) * 1.35)

    names = {"control_plane": "control plane", "clients": "good clients", "gauge": "zonegate.streams.open"}
    for name, label in names.items():
        streams.step(minutes, columns[name], where="post", color=theme[name], linewidth=1.2,
                     label=label)
    plotting.legend(streams, ncols=3, handlelength=1.2)
    plotting.label(streams, "Open streams, as each of them says", theme)

    lost.plot(minutes, columns["lost"], color=theme["lost"], linewidth=1.8)
    plotting.label(lost, "Messages lost", theme)
    lost.set_ylim(top=max(2, max(columns["lost"]) * 1.2))
    lost.set_xlabel("minutes", color=theme["faint"])

    plotting.over_time(axes, minutes[-1], events, theme)
    for at, what in events:
        plotting.annotate(memory, at, MARKED[what], theme, left=at > 0.85 * minutes[-1])
    plotting.save(figure, path)


if __name__ == "__main__":
    plotting.main(read, draw, THEMES)
