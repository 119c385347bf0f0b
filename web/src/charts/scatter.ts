// Points of euros against grams on a canvas, with the Pareto front and the best marked. Arrow keys
// go from point to point; the caller shows what the point is.
import {h} from '../dom';
import {number} from '../format';
import {colourOf} from './colour';
import {extentOf, frontLine, padded, project, ticks, type Extent} from './scale';

export interface ScatterData {
  x: readonly (number | null)[];
  y: readonly (number | null)[];
  dim: readonly boolean[];  // drawn, but faint
  front: readonly number[];
  best: readonly number[];
}

const kMargin = {left: 58, right: 14, top: 12, bottom: 40};

export class Scatter {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  private readonly observer: ResizeObserver;
  private data: ScatterData = {x: [], y: [], dim: [], front: [], best: []};
  private order: number[] = [];
  private x: Extent = {min: 0, max: 1};
  private y: Extent = {min: 0, max: 1};
  private active: number | null = null;
  private frame = 0;
  // All points, drawn once; the active one is drawn over them.
  private readonly layer = document.createElement('canvas');
  private readonly redraw = (): void => this.draw();
  private readonly scheme = matchMedia('(prefers-color-scheme: dark)');

  constructor(label: string, private readonly axes: {x: string; y: string}, private readonly onActive: (index: number | null) => void) {
    this.canvas = h('canvas', {
      class: 'scatter', tabindex: 0, role: 'img', 'aria-label': label, 'data-testid': 'scatter',
      pointermove: (event: PointerEvent) => this.setActive(this.nearest(event)),
      pointerdown: (event: PointerEvent) => this.setActive(this.nearest(event)),
      keydown: (event: KeyboardEvent) => this.key(event),
    });
    this.element = h('div', {class: 'chart scatter-box'}, this.canvas);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.scheme.addEventListener('change', this.redraw);
    document.addEventListener('sobre-theme', this.redraw);
  }

  set(data: ScatterData): void {
    this.data = data;
    this.x = padded(extentOf(data.x) ?? {min: 0, max: 1});
    this.y = padded(extentOf(data.y) ?? {min: 0, max: 1});
    this.order = data.x.map((_, i) => i)
        .filter((i) => known(data, i))
        .sort((a, b) => (data.x[a] as number) - (data.x[b] as number));
    if (this.active !== null && !known(data, this.active)) this.active = null;
    this.draw();
  }

  setActive(index: number | null): void {
    if (index === this.active) return;
    this.active = index;
    this.onActive(index);
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.compose());
  }

  destroy(): void {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    this.scheme.removeEventListener('change', this.redraw);
    document.removeEventListener('sobre-theme', this.redraw);
  }

  private key(event: KeyboardEvent): void {
    const at = this.active === null ? -1 : this.order.indexOf(this.active);
    const last = this.order.length - 1;
    const to = {ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: last,
                PageUp: at + 50, PageDown: at - 50}[event.key];
    if (event.key === 'Escape') this.setActive(null);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.setActive(this.order[Math.min(last, Math.max(0, to))] ?? null);
  }

  private nearest(event: PointerEvent): number | null {
    const box = this.canvas.getBoundingClientRect();
    const px = event.clientX - box.left;
    const py = event.clientY - box.top;
    let found: number | null = null;
    let least = 24 * 24;
    for (const i of this.order) {
      const [x, y] = this.place(i);
      const distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < least) {
        least = distance;
        found = i;
      }
    }
    return found;
  }

  private place(i: number): [number, number] {
    return [this.px(this.data.x[i] as number), this.py(this.data.y[i] as number)];
  }
  private px(value: number): number {
    return project(value, this.x, {min: kMargin.left, max: this.canvas.clientWidth - kMargin.right});
  }
  private py(value: number): number {
    return project(value, this.y, {min: this.canvas.clientHeight - kMargin.bottom, max: kMargin.top});
  }

  private draw(): void {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (width <= 0 || height <= 0) return;
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.layer]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = this.layer.getContext('2d');
    if (!pen) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawAxes(pen, width, height);
    this.drawPoints(pen);
    this.drawFront(pen);
    this.compose();
  }

  private drawAxes(pen: CanvasRenderingContext2D, width: number, height: number): void {
    pen.font = '12px system-ui, sans-serif';
    pen.strokeStyle = colourOf('--line');
    pen.fillStyle = colourOf('--ink-2');
    pen.lineWidth = 1;
    pen.textAlign = 'center';
    for (const tick of ticks(this.x, Math.max(2, Math.floor(width / 110)))) {
      const x = Math.round(this.px(tick)) + 0.5;
      line(pen, x, kMargin.top, x, height - kMargin.bottom);
      pen.fillText(number(tick), x, height - kMargin.bottom + 16);
    }
    pen.fillText(this.axes.x, (width + kMargin.left) / 2, height - 5);
    pen.textAlign = 'right';
    for (const tick of ticks(this.y, 5)) {
      const y = Math.round(this.py(tick)) + 0.5;
      line(pen, kMargin.left, y, width - kMargin.right, y);
      pen.fillText(number(tick), kMargin.left - 6, y + 4);
    }
    pen.save();
    pen.translate(12, (height - kMargin.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = 'center';
    pen.fillText(this.axes.y, 0, 0);
    pen.restore();
  }

  private drawPoints(pen: CanvasRenderingContext2D): void {
    const many = this.order.length > 1000;
    for (const dim of [true, false]) {
      pen.fillStyle = colourOf(dim ? '--point-dim' : '--point');
      for (const i of this.order) {
        if ((this.data.dim[i] ?? false) !== dim) continue;
        const [x, y] = this.place(i);
        pen.beginPath();
        pen.arc(x, y, many ? 2.2 : 3.6, 0, 7);
        pen.fill();
      }
    }
  }

  private drawFront(pen: CanvasRenderingContext2D): void {
    const points = this.data.front.filter((i) => known(this.data, i));
    pen.strokeStyle = colourOf('--front');
    pen.lineWidth = 2;
    pen.beginPath();
    frontLine(points.map((i) => ({x: this.data.x[i] as number, y: this.data.y[i] as number})))
        .forEach((point, i) => i === 0 ? pen.moveTo(this.px(point.x), this.py(point.y)) : pen.lineTo(this.px(point.x), this.py(point.y)));
    pen.stroke();
    for (const i of points) ring(pen, ...this.place(i), 4, colourOf('--front'));
    for (const i of this.data.best) {
      if (!known(this.data, i)) continue;
      const [x, y] = this.place(i);
      pen.fillStyle = colourOf('--best');
      pen.strokeStyle = colourOf('--surface');
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(x, y - 8);
      pen.lineTo(x + 8, y);
      pen.lineTo(x, y + 8);
      pen.lineTo(x - 8, y);
      pen.closePath();
      pen.fill();
      pen.stroke();
    }
  }

  private compose(): void {
    const pen = this.canvas.getContext('2d');
    if (!pen || this.layer.width === 0) return;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.layer, 0, 0);
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.active !== null && known(this.data, this.active)) {
      pen.lineWidth = 2.5;
      ring(pen, ...this.place(this.active), 8, colourOf('--ink'));
    }
  }
}

function known(data: ScatterData, i: number): boolean {
  return Number.isFinite(data.x[i] ?? NaN) && Number.isFinite(data.y[i] ?? NaN);
}

function line(pen: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

function ring(pen: CanvasRenderingContext2D, x: number, y: number, radius: number, colour: string): void {
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.stroke();
}
