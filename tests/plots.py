"""The plots of docs/estimator.md, drawn from the reference estimator: `make generated` writes them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, exp, floor, log10

import numpy as np

from transforms.estimator import Array, Estimate, Evidence, Parameters, discounted, estimate, fold, priors

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_LEVELS = ("Beginner", "Intermediate", "Advanced", "Master")
_COLOURS = ("#9aa5b1", "#8fb3d9", "#4a82bd", "#14508c")
_WIDTH, _HEIGHT = 480.0, 200.0
_ABLE = 1.3  # the ability of the person whom the plots are of


def plots() -> dict[str, str]:
    """Name of each file → its SVG."""
    return {"posterior.svg": _posterior(), "interval.svg": _interval(), "left.svg": _left()}


def _pieces(count: int) -> list[Evidence]:
    """Work at Intermediate and Advanced in turn, a piece each three days, each done as well as the ability lets expect."""
    parameters = Parameters()
    found = []
    for number in range(count):
        difficulty = parameters.difficulty(2 + number % 2)
        outcome = 1 / (1 + exp(difficulty - _ABLE))
        at = _AT + timedelta(days=3 * number)
        found.append(Evidence("one", f"activity {number}", difficulty, outcome, 1.0, at, f"statement {number:03d}"))
    return found


def _posterior() -> str:
    """P(θ) with no evidence, and after 3, 10 and 30 pieces."""
    parameters = Parameters()
    curves = []
    for count, colour in zip((0, 3, 10, 30), _COLOURS, strict=True):
        states = fold(_pieces(count), parameters)
        mass: Array = priors(states, ["one"], parameters)["one"]
        if states:
            mass = mass * np.exp(states["one"].fast - states["one"].fast.max())
        mass = mass / mass.sum()
        points = [(_x(theta), _HEIGHT * (1 - one / 0.45)) for theta, one in zip(parameters.grid, mass, strict=True)]
        label = "nothing known" if not count else f"{count} pieces"
        curves.append((points, colour, label))
    return _chart("What is believed of an ability, as evidence comes", _cuts(parameters), curves, "ability θ in logits")


def _interval() -> str:
    """The estimate and its 90 % interval by the number of pieces."""
    parameters = Parameters()
    found = [_estimated(count, parameters) for count in range(31)]
    low, middle, high = (
        [(_WIDTH * count / 30, _y(of(one))) for count, one in enumerate(found)]
        for of in (lambda one: one.ability_low, lambda one: one.ability_mean, lambda one: one.ability_high)
    )
    band = f'<polygon points="{_points([*low, *reversed(high)])}" fill="#8fb3d9" opacity="0.5"/>'
    marks = "".join(
        f'<line x1="0" x2="{_WIDTH:.0f}" y1="{_y(cut):.1f}" y2="{_y(cut):.1f}" stroke="#bbb" stroke-dasharray="4 3"/>'
        f'<text x="{_WIDTH + 4:.0f}" y="{_y(cut) + 4:.1f}" fill="#566070">{name}</text>'
        for name, cut in zip(_LEVELS, parameters.cuts, strict=True)
    )
    return _chart("The estimate and where the ability is in 9 of 10 cases", marks + band, [(middle, "#14508c", "estimate")],
                  "pieces of evidence, 0 to 30")  # fmt: skip


def _estimated(count: int, parameters: Parameters) -> Estimate:
    return estimate(fold(_pieces(count), parameters), ["one"], parameters)[0]


def _left() -> str:
    """What is left of the first piece after later ones, a day or 30 days apart."""
    parameters = Parameters()
    curves = []
    for days, colour in ((1, "#14508c"), (30, "#4a82bd"), (90, "#8fb3d9")):
        shares = []
        for later in range(31):
            pieces = [
                Evidence("one", f"a{number}", 0.0, 1.0, 1.0, _AT + timedelta(days=days * number), f"s{number:03d}")
                for number in range(later + 1)
            ]
            first = next(one for one in discounted(pieces, parameters) if one.piece.statement_id == "s000")
            shares.append((_WIDTH * later / 30, _HEIGHT * (1 - first.fast)))
        curves.append((shares, colour, f"a piece each {'day' if days == 1 else f'{days} days'}"))
    return _chart(
        "What is left of a piece of evidence", "", curves, "pieces that came later, 0 to 30; from 100 % at the top to 0"
    )


def _chart(title: str, below: str, curves: Sequence[tuple[list[tuple[float, float]], str, str]], x: str) -> str:
    lines = "".join(
        f'<polyline points="{_points(points)}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        for points, colour, _ in curves
    )
    apart = min(150, 560 // len(curves))
    keys = "".join(
        f'<rect x="{apart * number}" y="248" width="12" height="12" fill="{colour}"/>'
        f'<text x="{apart * number + 17}" y="258">{label}</text>'
        for number, (_, colour, label) in enumerate(curves)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-20 -50 600 320" font-family="system-ui, sans-serif" font-size="12" fill="#1c2430">'
        f'<rect x="-20" y="-50" width="600" height="320" fill="#fff"/><text y="-28" font-size="15" font-weight="600">{title}</text>'
        f'<rect width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" fill="#f7f8fa" stroke="#ccc"/>{below}{lines}'
        f'<text y="230" fill="#566070">{x}</text>{keys}</svg>\n'
    )  # fmt: skip


def log_log(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> str:
    """Series of points on logarithmic scales, a line of the grid for each power of ten."""
    points = [point for one in series.values() for point in one]
    lows = [floor(log10(min(point[axis] for point in points))) for axis in (0, 1)]
    highs = [ceil(log10(max(point[axis] for point in points))) for axis in (0, 1)]
    wide, high = _WIDTH / (highs[0] - lows[0]), _HEIGHT / (highs[1] - lows[1])
    grid = "".join(
        f'<line x1="{wide * k:.0f}" x2="{wide * k:.0f}" y1="0" y2="{_HEIGHT:.0f}" stroke="#ddd"/>'
        f'<text x="{wide * k:.0f}" y="216" text-anchor="middle" fill="#566070">{_power(lows[0] + k)}</text>'
        for k in range(highs[0] - lows[0] + 1)
    ) + "".join(
        f'<line x1="0" x2="{_WIDTH:.0f}" y1="{_HEIGHT - high * k:.0f}" y2="{_HEIGHT - high * k:.0f}" stroke="#ddd"/>'
        f'<text x="{_WIDTH + 4:.0f}" y="{_HEIGHT - high * k + 4:.0f}" fill="#566070">{_power(lows[1] + k)} {y}</text>'
        for k in range(highs[1] - lows[1] + 1)
    )
    curves = [
        ([(wide * (log10(a) - lows[0]), _HEIGHT - high * (log10(b) - lows[1])) for a, b in found], colour, name)
        for (name, found), colour in zip(series.items(), ("#14508c", "#c05621", "#2f855a", "#6b46c1"), strict=True)
    ]
    return _chart(title, grid, curves, x)


def _power(of_ten: int) -> str:
    return {0: "1", 1: "10", 2: "100", 3: "1,000"}.get(
        of_ten, "10" + str(of_ten).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    )


def _cuts(parameters: Parameters) -> str:
    return "".join(
        f'<line x1="{_x(cut):.1f}" x2="{_x(cut):.1f}" y1="0" y2="{_HEIGHT:.0f}" stroke="#bbb" stroke-dasharray="4 3"/>'
        f'<text x="{_x(cut) + 3:.1f}" y="{-3 if number % 2 else 11}" fill="#566070">{name}</text>'
        for number, (name, cut) in enumerate(zip(_LEVELS, parameters.cuts, strict=True))
    )


def _x(theta: float) -> float:
    return _WIDTH * (theta + 5) / 10


def _y(theta: float) -> float:
    return _HEIGHT * (1 - (theta + 2.5) / 6)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
