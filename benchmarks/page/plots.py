# SPDX-License-Identifier: Apache-2.0
"""Plots as inline SVG, of whatever is handed in.

Colors and type come from the page's style sheet (classes), so that one drawing is legible in
light and dark; a drawing is 360 units wide, so that it is legible on a phone without scaling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from benchmarks.measure.schema import Metric, Summary
from benchmarks.page.layout import Plot, three_digits
from benchmarks.page.scores import LEAST_SPAN, plain, titled

WIDTH = 360
BINS = 40  # 9 units each: what a phone's screen still shows apart

NAME_CHARACTERS = 30  # in a line with a figure at its end
LETTER = 6  # units that a letter takes at most, on average, in the widest of usual fonts
LEAST_PLOT = 165  # units that names leave to a plot they stand beside
MOST_PLOT = 250
FEW_PLACES = 5  # on an axis, each marked
FEW_DOTS = 100  # of a curve, each to be seen
NUMBER = 28  # units from a number below an axis to the next


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


@dataclass(frozen=True)
class Scored:
    """A subject's score, and its median milliseconds at natural lengths and padded."""

    name: str
    role: str
    score: float
    natural: float | None
    padded: float | None

    @property
    def medians(self) -> list[float]:
        """Those that were measured."""
        return [median for median in (self.natural, self.padded) if median]


@dataclass(frozen=True)
class Timed:
    """A subject's times, milliseconds; without samples the range of the summary is drawn."""

    name: str
    role: str
    times: Summary
    samples: Sequence[float] | None


@dataclass(frozen=True)
class Bar:
    """A bar of one or several parts: what it is called, what it comes to, (role, value) of each."""

    name: str
    label: str
    parts: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Curve:
    """A line through `line` and single `points`, (x, y) each."""

    name: str
    role: str
    line: Sequence[tuple[float, float]]
    points: Sequence[tuple[float, float]] = ()


def bars(
    title: str, caption: str, shown: Sequence[Bar], legend: Sequence[tuple[str, str]] = ()
) -> Plot | None:
    """One bar under the other, from zero; None where there is no length to show.

    Args:
        title: of the plot.
        caption: how it is read.
        shown: from top to bottom.
        legend: (role, what it stands for) of parts.
    """
    longest = max((sum(value for _, value in bar.parts) for bar in shown), default=0)
    if not longest:
        return None
    across = Scale(0, longest, 0, WIDTH)
    drawn, start = _legend(legend)
    for row, bar in enumerate(shown):
        top = start + 34 * row
        drawn += [text(0, top + 12, bar.name), text(WIDTH, top + 12, bar.label, "end figure")]
        before = 0.0
        for role, value in bar.parts:
            left, length = across(before), max(1.0, across(value))
            drawn.append(
                f'<rect class="{role}" x="{left}" y="{top + 18}" width="{length}" height="7"/>'
            )
            before += value
    return Plot(title, caption, svg(title, caption, start + 34 * len(shown), drawn))


def _legend(entries: Sequence[tuple[str, str]]) -> tuple[list[str], float]:
    """Squares with their names, in as many lines as that takes; and the height of those."""
    drawn: list[str] = []
    x, y = 0, 0
    for role, name in entries:
        width = 12 + LETTER * len(name)
        if x + width > WIDTH:
            x, y = 0, y + 18
        drawn.append(f'<rect class="{role}" x="{x}" y="{y}" width="8" height="8"/>')
        drawn.append(text(x + 12, y + 8, name, "muted"))
        x += width + 16
    return drawn, y + 22 if entries else 0


def accuracy(metric: Metric, shown: Sequence[Scored]) -> Plot | None:
    """A score against median latency, one line from natural to padded lengths a subject.

    Each has a row of its own: files of one model score alike, and would hide one another. Rows
    stand as far apart as their scores do where there is room.
    """
    # Of equal scores, the fastest first.
    points = sorted((p for p in shown if p.medians), key=lambda p: (-p.score, min(p.medians)))
    if not points:
        return None
    height = max(236, 15 * len(points) + 80)
    right, limit = _beside([point.name for point in points], 12)
    across = log_scale([median for point in points for median in point.medians], 36, right)
    scores = [point.score for point in points]
    span = LEAST_SPAN[metric["unit"]]
    margin = max(span - (max(scores) - min(scores)), span / 5) / 2
    up = Scale(min(scores) - margin, max(scores) + margin, height - 20, 12)
    drawn = list(ticks(across, 6, height - 20))
    rows = apart([up(score) for score in scores], 15, height - 26)
    for point, y in zip(points, rows, strict=True):
        ends = [across(median) for median in point.medians]
        drawn += [
            text(30, y + 4, plain(metric, point.score), "end muted figure"),
            f'<path class="grid" d="M36 {y}H{right + 6}"/>',
            f'<path class="link {point.role}" d="M{min(ends)} {y}H{max(ends)}"/>',
        ]
        if point.natural:
            x = across(point.natural)
            drawn.append(f'<circle class="{point.role}" cx="{x}" cy="{y}" r="4"/>')
        if point.padded:
            x = across(point.padded)
            drawn.append(f'<circle class="ring {point.role}" cx="{x}" cy="{y}" r="3.5"/>')
        drawn.append(text(right + 12, y + 4, point.name, limit=limit))
    title = f"{metric['label']} against latency"
    caption = f"{titled(metric)}, at the left, over median milliseconds per query, logarithmic: "
    caption += "up and left is better. Filled: natural lengths; ring: padded."
    return Plot(title, caption, svg(title, caption, height, drawn))


def distribution(title: str, shown: Sequence[Timed], ends: Sequence[float]) -> Plot | None:
    """A histogram of raw samples a subject.

    Args:
        title: of the plot.
        shown: one row each.
        ends: the axis reaches over these milliseconds, so that plots can be compared by eye.
    """
    if not shown:
        return None
    across = log_scale(ends, 0, WIDTH)
    rows = 46
    bottom = rows * len(shown)
    drawn = list(ticks(across, 20, bottom))
    for row, one in enumerate(shown):
        base = rows * row + rows - 6
        times, samples = one.times, one.samples
        shape = _histogram(samples, across, base, 18) if samples else _range(times, across, base)
        at_p50, at_p90 = across(times["p50"] or across.low), across(times["p90"] or across.low)
        figures = f"{three_digits(times['p50'])} · {three_digits(times['p90'])} ms"
        drawn += [
            f'<path class="area {one.role}" d="{shape}"/>',
            f'<path class="baseline" d="M0 {base}H{WIDTH}"/>',
            f'<path class="median" d="M{at_p50} {base - 19}V{base + 3}"/>',
            f'<circle class="ninety" cx="{at_p90}" cy="{base}" r="3"/>',
            text(0, base - 24, one.name),
            text(WIDTH, base - 24, figures, "end figure"),
        ]
    caption = "Milliseconds per query, logarithmic. Line and first figure: median; dot and "
    caption += "second figure: 90th percentile."
    return Plot(title, caption, svg(title, caption, bottom + 18, drawn))


def curves(
    title: str, caption: str, shown: Sequence[Curve], *, linear: bool = False
) -> Plot | None:
    """Lines over a linear axis, upward logarithmic or linear, named at their right ends.

    A line of one place is a disk.

    What took no time has no place on a logarithmic axis.
    """
    least = -math.inf if linear else 0.0
    shown = [
        Curve(c.name, c.role, *([p for p in each if p[1] > least] for each in (c.line, c.points)))
        for c in shown
        if any(y > least for _, y in c.line)
    ]
    every = [place for curve in shown for place in (*curve.line, *curve.points)]
    if not every:
        return None
    height = max(236, 15 * len(shown) + 40)
    right, limit = _beside([curve.name for curve in shown], 24)
    places = sorted({x for x, _ in every})
    low, high = places[0], places[-1] or 1
    across = Scale(0 if low <= high / 2 else low - (high - low or high) / 20, high, 36, right)
    heights = [y for _, y in every]
    up = (_linear_scale if linear else log_scale)(heights, height - 20, 12)
    drawn = []
    marks = ((y, True) for y in _steps(up)) if linear else _log_ticks(up, 13)
    for value, is_named in marks:
        drawn.append(f'<path class="grid" d="M36 {up(value)}H{right}"/>')
        if is_named:
            drawn.append(text(30, up(value) + 4, f"{value:g}", "end muted figure"))
    last = -math.inf
    for tick in places if len(places) <= FEW_PLACES else _steps(across):
        drawn.append(f'<path class="grid" d="M{across(tick)} 12V{height - 20}"/>')
        if across(tick) - last >= NUMBER:
            last = across(tick)
            drawn.append(text(last, height - 7, f"{tick:g}", "middle muted figure"))
    ordered = sorted(shown, key=lambda curve: -curve.line[-1][1])
    labels = apart([up(curve.line[-1][1]) for curve in ordered], 15, height - 20)
    for curve, label in zip(ordered, labels, strict=True):
        # A path of strokes without length draws round dots: a tenth of what circles would take.
        dots = "".join(
            f"M{x} {y}h0" for x, y in sorted({(across(x), up(y)) for x, y in curve.points})
        )
        few = " few" if len(curve.points) <= FEW_DOTS else ""
        line = "L".join(f"{across(x)} {up(y)}" for x, y in curve.line)
        x, y = across(curve.line[-1][0]), up(curve.line[-1][1])
        drawn += [
            f'<path class="dots{few} {curve.role}" d="{dots}"/>' if dots else "",
            f'<path class="leader" d="M{x} {y}L{right + 6} {label}"/>',
            f'<path class="link {curve.role}" d="M{line}"/>'
            if len(curve.line) > 1
            else f'<circle class="{curve.role}" cx="{x}" cy="{y}" r="4"/>',
            f'<path class="link {curve.role}" d="M{right + 6} {label}h14"/>',
            text(right + 24, label + 4, curve.name, limit=limit),
        ]
    return Plot(title, caption, svg(title, caption, height, drawn))


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


def log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """A logarithmic scale with some room at both ends."""
    positive = [value for value in values if value > 0] or [1.0]
    return Scale(min(positive) / 1.25, max(positive) * 1.25, start, end, log=True)


def _linear_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """A linear scale with some room at both ends."""
    room = (max(values) - min(values)) / 10 or 1.0
    return Scale(min(values) - room, max(values) + room, start, end)


def ticks(across: Scale, top: float, bottom: float) -> Iterator[str]:
    """Grid lines of a logarithmic axis with their values below."""
    for value, is_named in _log_ticks(across, NUMBER):
        x = across(value)
        yield f'<path class="grid" d="M{x} {top}V{bottom}"/>'
        if is_named:
            yield text(x, bottom + 13, f"{value:g}", "middle muted figure")


def _log_ticks(scale: Scale, room: float) -> Iterator[tuple[float, bool]]:
    """1, 2, 5, 10 and so on, closer on a short axis; and which of them have `room` for a number."""
    short = scale.high < 5 * scale.low
    # Steps of at most 1.5 times: `log_scale` spans 1.56 times at least, so that one is within.
    digits = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9) if short else (1, 2, 5)
    last = None
    for power in range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))):
        for value in (digit * 10.0**power for digit in digits):
            if not scale.low <= value <= scale.high:
                continue
            place = scale(value)
            # The first has a number at all events, another where it does not stand out at the end.
            is_named = last is None or (abs(place - last) >= room and abs(scale.end - place) >= 6)
            last = place if is_named else last
            yield value, is_named


def _steps(scale: Scale) -> list[float]:
    """Round values of a linear axis, at most five steps."""
    width = scale.high - scale.low
    power = 10.0 ** math.floor(math.log10(width))
    step = next(s * power for s in (0.2, 0.5, 1, 2, 5) if width / (s * power) <= 5)
    return [step * n for n in range(math.ceil(scale.low / step), int(scale.high / step) + 1)]


def _beside(names: Sequence[str], gap: float) -> tuple[float, int]:
    """Where a plot ends so that names stand right of it, unhidden, and the letters they may have.

    Args:
        names: that stand there.
        gap: units between plot and names.
    """
    wanted = WIDTH - gap - LETTER * max(map(len, names))
    right = min(max(wanted, LEAST_PLOT), MOST_PLOT)
    return right, int((WIDTH - gap - right) / LETTER)


def apart(wanted: Sequence[float], gap: float, bottom: float) -> list[float]:
    """Label positions near the `wanted` ones (ascending), at least `gap` from each other."""
    placed: list[float] = []
    for position in wanted:
        placed.append(max(position, placed[-1] + gap) if placed else position)
    for index in reversed(range(len(placed))):  # those that ran past the bottom push up
        placed[index] = round(min(placed[index], bottom), 1)
        bottom = placed[index] - gap
    return placed


def text(x: float, y: float, shown: str, kind: str = "", limit: int = NAME_CHARACTERS) -> str:
    """Text at a place, what does not fit left out of its middle: names differ at both ends."""
    if len(shown) > limit:
        shown = f"{shown[: limit // 2]}…{shown[len(shown) - (limit - limit // 2 - 1) :]}"
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(shown)}</text>'


def svg(title: str, description: str, height: float, parts: Sequence[str]) -> Markup:
    """The drawing; a screen reader is told its title and description."""
    # Safe: every text came through `text` or is escaped here, the rest is numbers and our classes.
    return Markup(  # noqa: S704 - see above
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )
