"""A chart of changes as SVG: the same points give the same bytes."""
import math

from tests.study.stats import Estimate

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 420, 64, 48, 32, 16
COLOURS = ["#b45309", "#1d4ed8", "#047857", "#7c3aed"]


def axis(values: list[float]) -> tuple[float, float, list[float]]:
    """From, to, and some five round marks; zero is always there."""
    low, high = min(0.0, *values), max(0.0, *values)
    rough = max(high - low, 1e-6) / 5
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return first * step, last * step, [i * step for i in range(first, last + 1)]


def scatter(series: dict[str, list[tuple[Estimate, Estimate]]], across: str, up: str) -> str:
    """Points with the 95 % interval in both directions, by name."""
    points = [point for each in series.values() for point in each]
    x_low, x_high, x_marks = axis([v for x, _ in points for v in (x.low, x.high)])
    y_low, y_high, y_marks = axis([v for _, y in points for v in (y.low, y.high)])

    def at_x(value: float) -> str:
        return f"{LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT):.1f}"

    def at_y(value: float) -> str:
        return f"{HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - BOTTOM - TOP):.1f}"

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
           f"<title>{up}, against {across}</title>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']

    def line(x1: str, y1: str, x2: str, y2: str, colour: str) -> None:
        out.append(f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{colour}"/>')

    def text(x, y, words: str, anchor: str = "middle", more: str = "") -> None:
        out.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#111827"{more}>{words}</text>')

    for mark in x_marks:
        line(at_x(mark), at_y(y_low), at_x(mark), at_y(y_high), "#111827" if mark == 0 else "#e5e7eb")
        text(at_x(mark), HEIGHT - BOTTOM + 16, f"{mark:g}".replace("-", "−"))
    for mark in y_marks:
        line(at_x(x_low), at_y(mark), at_x(x_high), at_y(mark), "#111827" if mark == 0 else "#e5e7eb")
        text(LEFT - 6, f"{float(at_y(mark)) + 4:.1f}", f"{mark:g}".replace("-", "−"), "end")
    text((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 12, across)
    text(16, (TOP + HEIGHT - BOTTOM) // 2, up, more=f' transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) // 2})"')
    for i, (name, each) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        out.append(f'<circle cx="{LEFT + 8 + 110 * i}" cy="16" r="4" fill="{colour}"/>')
        text(LEFT + 18 + 110 * i, 20, name, "start")
        for x, y in each:
            line(at_x(x.low), at_y(y.mean), at_x(x.high), at_y(y.mean), colour)
            line(at_x(x.mean), at_y(y.low), at_x(x.mean), at_y(y.high), colour)
            out.append(f'<circle cx="{at_x(x.mean)}" cy="{at_y(y.mean)}" r="4" fill="{colour}"/>')
    return "\n".join(out) + "\n</svg>\n"
