// Drawings that fit in a line: sparklines, bars with whiskers, class badges.
import {s} from '../dom';
import {t} from '../i18n';
import {known, type Maybe} from '../format';
import {sparkPath} from './scale';

export function sparkline(values: readonly (number | null)[], label: string, kind: 'grams' | 'euros' | 'energy' = 'grams'): SVGSVGElement {
  const width = 96;
  const height = 24;
  return s('svg', {class: `spark spark-${kind}`, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label,
                   preserveAspectRatio: 'none'},
           s('path', {d: sparkPath(values, width, height), 'vector-effect': 'non-scaling-stroke'}));
}

export interface BarOptions { kind: string; low?: Maybe; high?: Maybe; mark?: Maybe }

// A bar of value/most, with a whisker from low to high and a mark where something else stands. The
// figure stands beside it as text, so the drawing is hidden from screen readers.
export function bar(value: Maybe, most: number, options: BarOptions): SVGSVGElement {
  const at = (v: number): number => most > 0 ? Math.min(100, Math.max(0, v / most * 100)) : 0;
  const svg = s('svg', {class: `bar bar-${options.kind}`, viewBox: '0 0 100 12', preserveAspectRatio: 'none', 'aria-hidden': 'true'},
                s('rect', {class: 'bar-room', x: 0, y: 3, width: 100, height: 6, rx: 0}));
  if (known(value)) svg.append(s('rect', {class: 'bar-value', x: 0, y: 3, width: at(value), height: 6}));
  if (known(options.low) && known(options.high)) {
    const low = at(options.low);
    const high = at(options.high);
    svg.append(s('path', {class: 'bar-whisker', 'vector-effect': 'non-scaling-stroke',
                          d: `M${low} 6H${high}M${low} 2.500V9.500M${high} 2.500V9.500`}));
  }
  if (known(options.mark))
    svg.append(s('path', {class: 'bar-mark', 'vector-effect': 'non-scaling-stroke', d: `M${at(options.mark)} 0V12`}));
  return svg;
}

// A letter on an arrow. The letter carries the meaning; colours go from blue to brown, which all
// common kinds of colour vision tell apart.
export function badge(letter: string, kind: 'energy' | 'carbon'): Element {
  const valid = /^[A-G]$/.test(letter);
  const label = valid ? t(kind === 'energy' ? 'class.energy' : 'class.carbon', {letter}) : t('class.none');
  const svg = s('svg', {class: `badge badge-${kind} badge-${valid ? letter : 'none'}`, viewBox: '0 0 40 24', role: 'img', 'aria-label': label},
                s('title', {}, label),
                s('path', {d: 'M3 1H27L39 12L27 23H3Q1 23 1 21V3Q1 1 3 1Z'}),
                s('text', {x: 16, y: 17.5, 'text-anchor': 'middle'}, valid ? letter : '–'));
  return svg;
}
