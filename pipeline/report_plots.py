# SPDX-License-Identifier: Apache-2.0
"""The report's plots as inline SVG.

Colors and type come from the page's style sheet (classes), so that one drawing is legible in
light and dark; a drawing is 360 units wide, so that it is legible on a phone without scaling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.report_headline import headline_file
from pipeline.report_schema import Lengths, Report, Subject, Summary
from pipeline.report_tables import NATURAL, PADDED, number, scored, three_digits

WIDTH = 360
BINS = 40  # 9 units each: what a phone's screen still shows apart
NAME_CHARACTERS = 30


@dataclass(frozen=True)
class Plot:
    """A drawing, what it shows, and how it is read."""

    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to units from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The position of `value`."""
        low, high, value = (
            (math.log(v) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return round(self.start + (self.end - self.start) * (value - low) / (high - low), 1)


def plots(report: Report) -> list[Plot]:
    """The plots that the report's figures allow."""
    drawn = [
        _accuracy(report),
        _sizes(report),
        _distribution(report, NATURAL),
        _distribution(report, PADDED),
    ]
    return [plot for plot in drawn if plot]


def _sizes(report: Report) -> Plot | None:
    """One bar a model or file, from zero."""
    entries = [*report["models"], *report["files"]]
    if not any(entry["bytes"] for entry in entries):
        return None
    across = Scale(0, max(entry["bytes"] for entry in entries), 0, WIDTH)
    labels = number("", [entry["bytes"] / 1e6 for entry in entries]).cells
    parts = []
    for row, (entry, label) in enumerate(zip(entries, labels, strict=True)):
        top = 34 * row
        length = max(1.0, across(entry["bytes"]))
        parts += [
            _text(0, top + 12, entry["name"]),
            _text(WIDTH, top + 12, f"{label} MB", "end figure"),
            f'<rect class="{_role(report, entry["name"])}" y="{top + 18}" width="{length}" '
            'height="7" rx="1"/>',
        ]
    caption = "Models in PyTorch and exported files, in MB."
    return Plot("Size", caption, _svg("Size of models and files", 34 * len(entries), parts))


def _accuracy(report: Report) -> Plot | None:
    """F1 against median latency, one line from natural to padded lengths a subject."""
    points = []
    for name, subject in _subjects(report).items():
        entry = scored(report, name)
        medians = [t["p50"] if (t := subject[lengths]) else None for lengths in (NATURAL, PADDED)]
        if entry and entry["f1"] is not None and any(medians):
            points.append((entry["f1"], name, medians))
    if not points:
        return None
    points.sort(reverse=True)
    height = max(236, 15 * len(points) + 40)
    right = 218  # names stand right of the plot, where no point hides them
    across = _log_scale([m for _, _, medians in points for m in medians if m], 32, right)
    scores = [f1 for f1, _, _ in points]
    # At least 5 points of F1, so that a difference within noise does not look like a cliff.
    margin = max(5 - (max(scores) - min(scores)), 1) / 2
    up = Scale(min(scores) - margin, max(scores) + margin, height - 20, 12)
    parts = list(_ticks(across, 12, height - 20))
    step = next(s for s in (1, 2, 5, 10, 25) if (up.high - up.low) / s <= 6)
    for tick in range(math.ceil(up.low / step) * step, math.floor(up.high) + 1, step):
        parts.append(f'<path class="grid" d="M32 {up(tick)}H{right}"/>')
        parts.append(_text(26, up(tick) + 4, str(tick), "end muted figure"))
    labels = _apart([up(f1) for f1 in scores], 15, height - 20)
    for (f1, name, medians), label in zip(points, labels, strict=True):
        y, role = up(f1), _role(report, name)
        xs = [across(median) if median else None for median in medians]
        ends = [x for x in xs if x is not None]
        leader = f"M{max(ends)} {y}L{right + 6} {label}H{right + 10}"
        parts.append(f'<path class="leader" d="{leader}"/>')
        parts.append(f'<path class="link {role}" d="M{min(ends)} {y}H{max(ends)}"/>')
        if xs[0] is not None:
            parts.append(f'<circle class="{role}" cx="{xs[0]}" cy="{y}" r="4"/>')
        if xs[1] is not None:
            parts.append(f'<circle class="ring {role}" cx="{xs[1]}" cy="{y}" r="3.5"/>')
        parts.append(_text(right + 13, label + 4, name, limit=20))
    caption = "F1 over median milliseconds per question, logarithmic: up and left is better. "
    caption += "Filled: natural lengths; ring: padded."
    return Plot("F1 against latency", caption, _svg("F1 against latency", height, parts))


def _distribution(report: Report, lengths: Lengths) -> Plot | None:
    """A histogram of raw samples a subject; without samples the range of its summary."""
    latency = report["latency"]
    every = [t for s in _subjects(report).values() for t in (s["natural"], s["padded"]) if t]
    shown = {n: t for n, s in _subjects(report).items() if (t := s[lengths])}
    if latency is None or not shown:
        return None
    # Both lengths get the same axis, so that the two plots can be compared by eye.
    across = _log_scale([t[end] for t in every for end in ("min", "max")], 0, WIDTH)
    rows = 46
    bottom = rows * len(shown)
    parts = list(_ticks(across, 20, bottom))
    for row, (name, times) in enumerate(shown.items()):
        base = rows * row + rows - 6
        role = _role(report, name)
        samples = latency["samples_ms"].get(name, {}).get(lengths)
        shape = _histogram(samples, across, base, 18) if samples else _range(times, across, base)
        at_p50, at_p90 = across(times["p50"] or across.low), across(times["p90"] or across.low)
        figures = f"{three_digits(times['p50'])} · {three_digits(times['p90'])} ms"
        parts += [
            f'<path class="area {role}" d="{shape}"/>',
            f'<path class="baseline" d="M0 {base}H{WIDTH}"/>',
            f'<path class="median" d="M{at_p50} {base - 19}V{base + 3}"/>',
            f'<circle class="ninety" cx="{at_p90}" cy="{base}" r="3"/>',
            _text(0, base - 24, name),
            _text(WIDTH, base - 24, figures, "end figure"),
        ]
    title = "Latency, " + (
        "natural lengths" if lengths == NATURAL else f"padded to {latency['padded_length']}"
    )
    caption = "Milliseconds per question, logarithmic. Line and first figure: median; dot and "
    return Plot(title, caption + "second figure: 90th percentile.", _svg(title, bottom + 18, parts))


def _histogram(samples: Sequence[float], across: Scale, base: float, height: float) -> str:
    """A path of steps, the fullest bin `height` high."""
    width = (across.end - across.start) / BINS
    counts = [0] * BINS
    for sample in samples:
        position = across(min(max(sample, across.low), across.high)) - across.start
        counts[min(int(position / width), BINS - 1)] += 1
    tallest = max(counts)
    steps = "".join(
        f"V{base - height * count / tallest:.1f}H{across.start + width * (index + 1):.1f}"
        for index, count in enumerate(counts)
    )
    return f"M{across.start} {base}{steps}V{base}Z"


def _range(times: Summary, across: Scale, base: float) -> str:
    low, high = across(times["min"] or across.low), across(times["max"] or across.low)
    return f"M{low} {base - 4}H{high}V{base}H{low}Z"


def _log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    positive = [value for value in values if value > 0] or [1.0]
    return Scale(min(positive) / 1.25, max(positive) * 1.25, start, end, log=True)


def _ticks(across: Scale, top: float, bottom: float) -> Iterator[str]:
    """Grid lines with their values below: 1, 2, 5, 10 and so on, closer on a short axis."""
    short = across.high < 5 * across.low
    # Steps of at most 1.5 times: `_log_scale` spans 1.56 times at least, so that one is within.
    digits = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9) if short else (1, 2, 5)
    last = -math.inf
    for power in range(math.floor(math.log10(across.low)), math.ceil(math.log10(across.high))):
        for value in (digit * 10.0**power for digit in digits):
            if not across.low <= value <= across.high:
                continue
            x = across(value)
            yield f'<path class="grid" d="M{x} {top}V{bottom}"/>'
            if x - last >= 28 and (x <= across.end - 6 or last < 0):  # a number needs its room
                yield _text(x, bottom + 13, f"{value:g}", "middle muted figure")
                last = x


def _apart(wanted: Sequence[float], gap: float, bottom: float) -> list[float]:
    """Label positions near the `wanted` ones (ascending), at least `gap` from each other."""
    placed: list[float] = []
    for position in wanted:
        placed.append(max(position, placed[-1] + gap) if placed else position)
    for index in reversed(range(len(placed))):  # those that ran past the bottom push up
        placed[index] = round(min(placed[index], bottom), 1)
        bottom = placed[index] - gap
    return placed


def _role(report: Report, name: str) -> str:
    """The color of a subject: the file that the report is about, the teacher, any other."""
    file = headline_file(report)
    if file and name == file["name"]:
        return "accent"
    return "teacher" if name.partition("-fp32")[0] == "teacher" else "other"


def _subjects(report: Report) -> dict[str, Subject]:
    return report["latency"]["subjects"] if report["latency"] else {}


def _text(x: float, y: float, text: str, kind: str = "", limit: int = NAME_CHARACTERS) -> str:
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(short)}</text>'


def _svg(label: str, height: float, parts: Sequence[str]) -> Markup:
    # Safe: every text came through `_text`, everything else is numbers and our own classes.
    return Markup(  # noqa: S704 - see above
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
