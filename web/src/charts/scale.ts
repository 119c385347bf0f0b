// Arithmetic of charts, without a screen.
export interface Extent { min: number; max: number }

export function extentOf(values: Iterable<number | null>): Extent | null {
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min <= max ? {min, max} : null;
}

// A little room on both sides; some width where all values are the same.
export function padded(extent: Extent, share = 0.06): Extent {
  const width = extent.max - extent.min || Math.abs(extent.max) || 1;
  return {min: Math.max(extent.min >= 0 ? 0 : -Infinity, extent.min - width * share), max: extent.max + width * share};
}

export function project(value: number, from: Extent, to: Extent): number {
  const width = from.max - from.min;
  return width === 0 ? (to.min + to.max) / 2 : to.min + (value - from.min) / width * (to.max - to.min);
}

// Round values inside the extent, about `count` of them.
export function ticks(extent: Extent, count: number): number[] {
  const width = extent.max - extent.min;
  if (!(width > 0) || count < 1) return [extent.min];
  const rough = width / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const found: number[] = [];
  for (let i = Math.ceil(extent.min / step); i * step <= extent.max + step * 1e-9; ++i) found.push(i * step);
  return found;
}

// Carbon prices span three powers of ten and include 0: position 0..1 on a scale that is linear at
// 0 and logarithmic above.
export const kMostCarbonPrice = 2000;
const kLogWidth = Math.log1p(kMostCarbonPrice);

export function priceAt(position: number): number {
  const price = Math.expm1(Math.min(1, Math.max(0, position)) * kLogWidth);
  if (price < 0.5) return 0;
  const digits = 10 ** Math.max(0, Math.floor(Math.log10(price)) - 1);
  return Math.round(price / digits) * digits;
}

export function positionOf(price: number): number {
  return Math.log1p(Math.min(kMostCarbonPrice, Math.max(0, price))) / kLogWidth;
}

// The step that holds at a value: the last that begins at or below it.
export function stepAt<T extends {from: number}>(steps: readonly T[], value: number): T | null {
  let found: T | null = null;
  for (const step of steps)
    if (step.from <= value && (!found || step.from >= found.from)) found = step;
  return found;
}

// The line of a front as steps: to its right and above, something of it is at least as good.
export function frontLine(points: readonly {x: number; y: number}[]): {x: number; y: number}[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const line: {x: number; y: number}[] = [];
  let lowest = Infinity;
  for (const point of sorted) {
    if (point.y >= lowest) continue;
    if (line.length > 0) line.push({x: point.x, y: lowest});
    line.push(point);
    lowest = point.y;
  }
  return line;
}

// Where a sparkline goes, as an SVG path in a box; gaps where values are unknown.
export function sparkPath(values: readonly (number | null)[], width: number, height: number): string {
  const extent = extentOf(values);
  if (!extent || values.length < 2) return '';
  const range = extent.min === extent.max ? {min: extent.min - 1, max: extent.max + 1} : extent;
  let path = '';
  let pen = 'M';
  values.forEach((value, i) => {
    if (value === null) {
      pen = 'M';
      return;
    }
    const x = i / (values.length - 1) * width;
    const y = project(value, range, {min: height - 1.5, max: 1.5});
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  });
  return path;
}
