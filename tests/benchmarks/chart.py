"""The plot: a bar for each library, as a multiple of the fastest, a panel for each workload; SVG by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .measuring import Measured
from .peers import OURS
from .report import seconds

COLUMNS = 3
OUR_COLOUR, THEIR_COLOUR = "#c2410c", "#94a3b8"


def draw(all_measured: Sequence[Measured], path: Path) -> None:
    """Write the plot; ImportError where matplotlib is missing."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tracegrad"  # the same figures, the same file
    from matplotlib import pyplot

    lines = -(-len(all_measured) // COLUMNS)
    figure, panels = pyplot.subplots(lines, COLUMNS, figsize=(4.6 * COLUMNS, 2.3 * lines), squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, measured in zip(panels.flat, all_measured, strict=False):
        panel.set_axis_on()
        found = [(p, best[1].warm) for p in measured.peers if (best := measured.best(p))]
        found.sort(key=lambda item: -item[1])
        fastest = found[-1][1]
        colours = [OUR_COLOUR if peer == OURS else THEIR_COLOUR for peer, _ in found]
        bars = panel.barh([p for p, _ in found], [t / fastest for _, t in found], color=colours)
        panel.bar_label(bars, [f" {seconds(t)}" for _, t in found], fontsize=7)
        panel.set_xscale("log")
        panel.set_xlim(0.8, 6 * found[0][1] / fastest)
        panel.set_title(measured.workload.title, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("value and gradient, warm, as a multiple of the fastest (logarithmic)", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
