// Values over time, drawn by uPlot, redrawn in the colours of the theme.
import uPlot from 'uplot';
import {h} from '../dom';
import {locale, number} from '../format';
import {t} from '../i18n';
import {colourOf} from './colour';

export interface Series {
  label: string;
  colour: string;  // a variable of the style sheet
  scale: string;   // series of one scale share an axis
  format: (value: number) => string;
  band?: boolean;  // filled down to 0
}

// So few that each is shown as a dot.
const kFewPoints = 30;
// A chart that has just begun is not wider than what it shows.
const kLeastSeconds = 60;

function rangeOf(min: number | null, max: number | null): [number, number] {
  const end = max ?? Date.now() / 1000;
  return [Math.min(min ?? end, end - kLeastSeconds), end];
}

export type Column = (number | null)[];

export class TimeChart {
  readonly element: HTMLElement;
  private plot: uPlot | null = null;
  private data: [number[], ...Column[]];
  private readonly observer: ResizeObserver;
  private readonly box: HTMLElement;
  private readonly retheme = (): void => this.make();
  private readonly scheme = matchMedia('(prefers-color-scheme: dark)');

  constructor(label: string, private readonly series: readonly Series[], private readonly height = 220) {
    this.box = h('div', {class: 'chart-box', role: 'img', 'aria-label': label});
    this.element = h('div', {class: 'chart'}, this.box);
    this.data = [[], ...series.map((): Column => [])];
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.box);
    this.scheme.addEventListener('change', this.retheme);
    document.addEventListener('sobre-theme', this.retheme);
  }

  // Times in seconds, ascending; one column a series.
  set(times: number[], ...columns: Column[]): void {
    this.data = [times, ...columns];
    if (this.plot) this.plot.setData(this.data as uPlot.AlignedData);
    else this.make();
  }

  destroy(): void {
    this.observer.disconnect();
    this.scheme.removeEventListener('change', this.retheme);
    document.removeEventListener('sobre-theme', this.retheme);
    this.plot?.destroy();
    this.plot = null;
  }

  private resize(): void {
    const width = this.box.clientWidth;
    if (width <= 0) return;
    if (!this.plot) this.make();
    else if (this.plot.width !== width) this.plot.setSize({width, height: this.height});
  }

  private make(): void {
    const width = this.box.clientWidth;
    if (width <= 0) return;
    this.plot?.destroy();
    const ink = colourOf('--ink-2');
    const grid = {stroke: colourOf('--line'), width: 1};
    const scales = [...new Set(this.series.map((series) => series.scale))];
    const time = new Intl.DateTimeFormat(locale(), {hour: '2-digit', minute: '2-digit', second: '2-digit'});
    const span = (): number => (this.data[0][this.data[0].length - 1] ?? 0) - (this.data[0][0] ?? 0);
    const clock = new Intl.DateTimeFormat(locale(), {hour: '2-digit', minute: '2-digit'});
    const date = new Intl.DateTimeFormat(locale(), {day: 'numeric', month: 'short'});
    const moment = new Intl.DateTimeFormat(locale(), {dateStyle: 'short', timeStyle: 'short'});
    const axis = {stroke: ink, grid, ticks: grid, font: '12px system-ui, sans-serif'};
    this.plot = new uPlot({
      width, height: this.height,
      legend: {live: true},
      cursor: {drag: {x: false, y: false}, points: {size: 7}},
      scales: {x: {time: true, range: (_plot, min, max) => rangeOf(min, max)}, ...Object.fromEntries(scales.map((scale) => [scale, {range: {min: {pad: 0.1, soft: 0, mode: 1}, max: {pad: 0.1, soft: 0, mode: 2}}} as uPlot.Scale]))},
      axes: [
        {...axis, space: 80, values: (_plot, splits) => splits.map((at) => (span() > 172800 ? date : span() > 600 ? clock : time).format(at * 1000))},
        ...scales.map((scale, i) => ({...axis, scale, side: i === 0 ? 3 : 1, size: 62, grid: i === 0 ? grid : {show: false},
                                     values: (_plot: uPlot, splits: number[]) => splits.map((value) => number(value))} as uPlot.Axis)),
      ],
      series: [{label: t('time'), value: (_plot, at) => at === null ? '–' : (span() > 600 ? moment : time).format(at * 1000)}, ...this.series.map((series): uPlot.Series => ({
        label: series.label, scale: series.scale, stroke: colourOf(series.colour), width: 2,
        value: (_plot, value) => value === null ? '–' : series.format(value),
        points: {show: (plot) => plot.data[0].length < kFewPoints, size: 5},
        ...(series.band ? {fill: colourOf(`${series.colour}-soft`)} : {}),
      }))],
    }, this.data as uPlot.AlignedData, this.box);
  }
}
