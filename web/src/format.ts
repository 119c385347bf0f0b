// Numbers, units and times in the reader's language. Unknown is a dash, never 0.
import {currentLanguage} from './i18n';

export type Maybe = number | null | undefined;
export const kUnknown = '–';

const cache = new Map<string, Intl.NumberFormat>();

function formatter(key: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = `${currentLanguage()} ${key}`;
  let made = cache.get(name);
  if (!made) {
    made = new Intl.NumberFormat(locale(), options);
    cache.set(name, made);
  }
  return made;
}

export function locale(): string {
  return currentLanguage() === 'fr' ? 'fr-FR' : 'en-GB';
}

export function known(value: Maybe): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

// Three significant digits below a thousand, whole numbers above.
export function number(value: Maybe): string {
  if (!known(value)) return kUnknown;
  if (Math.abs(value) >= 999.5) return formatter('whole', {maximumFractionDigits: 0}).format(value);
  return formatter('three', {maximumSignificantDigits: 3}).format(value);
}

export function whole(value: Maybe): string {
  return known(value) ? formatter('whole', {maximumFractionDigits: 0}).format(value) : kUnknown;
}

export function percent(share: Maybe): string {
  if (!known(share)) return kUnknown;
  const digits = Math.abs(share) < 0.1 && share !== 0 ? 1 : 0;
  return formatter(`percent${digits}`, {style: 'percent', maximumFractionDigits: digits}).format(share);
}

export function signedPercent(share: Maybe): string {
  if (!known(share)) return kUnknown;
  const digits = Math.abs(share) < 0.1 ? 1 : 0;
  return formatter(`signed${digits}`, {style: 'percent', maximumFractionDigits: digits, signDisplay: 'exceptZero'})
      .format(share);
}

interface Scaled {
  factor: number;
  unit: string;
}

const kGramUnits: readonly Scaled[] = [
  {factor: 1e6, unit: 'tCO₂e'}, {factor: 1e3, unit: 'kgCO₂e'}, {factor: 1, unit: 'gCO₂e'},
  {factor: 1e-3, unit: 'mgCO₂e'}, {factor: 1e-6, unit: 'µgCO₂e'}, {factor: 1e-9, unit: 'ngCO₂e'},
];
const kWattHourUnits: readonly Scaled[] = [
  {factor: 1e6, unit: 'MWh'}, {factor: 1e3, unit: 'kWh'}, {factor: 1, unit: 'Wh'},
  {factor: 1e-3, unit: 'mWh'}, {factor: 1e-6, unit: 'µWh'},
];

// The unit in which the size reads as 1 to 999.
function scaleOf(units: readonly Scaled[], size: number): Scaled {
  const last = units[units.length - 1] as Scaled;
  if (size === 0) return units.find((unit) => unit.factor === 1) ?? last;
  return units.find((unit) => size >= unit.factor * 0.9995) ?? last;
}

function scaled(units: readonly Scaled[], value: Maybe, suffix: string): string {
  if (!known(value)) return kUnknown;
  const unit = scaleOf(units, Math.abs(value));
  return `${number(value / unit.factor)}\u00a0${unit.unit}${suffix}`;
}

export const grams = (value: Maybe, suffix = ''): string => scaled(kGramUnits, value, suffix);
export const wattHours = (value: Maybe, suffix = ''): string => scaled(kWattHourUnits, value, suffix);
export const kilowattHours = (value: Maybe): string => wattHours(known(value) ? value * 1000 : value);

// "12–18 gCO₂e", both in the unit of the greater.
export function gramsRange(low: Maybe, high: Maybe, suffix = ''): string {
  if (!known(low) || !known(high)) return '';
  const unit = scaleOf(kGramUnits, Math.max(Math.abs(low), Math.abs(high)));
  return `${number(low / unit.factor)}–${number(high / unit.factor)}\u00a0${unit.unit}${suffix}`;
}

function euroNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 0.995 || value === 0) {
    const digits = size >= 9999.5 ? 0 : 2;
    return formatter(`eur${digits}`, {style: 'currency', currency: 'EUR', minimumFractionDigits: digits, maximumFractionDigits: digits})
        .format(value);
  }
  return formatter('eur3', {style: 'currency', currency: 'EUR', minimumFractionDigits: 0, maximumSignificantDigits: 3}).format(value);
}

export function euros(value: Maybe, suffix = ''): string {
  return known(value) ? euroNumber(value) + suffix : kUnknown;
}

// Of how many units figures are told that stand side by side: of one, or where its euros would be too small to read, of so
// many that they can be. Requests come by the million, thousands of tokens by the thousand; a pod-hour or a run stays one.
export function unitsTold(unit: string, euros: readonly Maybe[]): number {
  const many = unit === 'request' ? 1e6 : unit === '1k-tokens' ? 1e3 : 1;
  const most = Math.max(0, ...euros.map((each) => (known(each) ? Math.abs(each) : 0)));
  return most > 0 && most < 1e-3 ? many : 1;
}
export const times = (value: Maybe, factor: number): Maybe => (known(value) ? value * factor : value);

export const intensity = (value: Maybe): string =>
  known(value) ? `${number(value)}\u00a0gCO₂e/kWh` : kUnknown;

export function parseTime(text: string | null | undefined): number | null {
  if (!text) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

export function clock(text: string | null | undefined): string {
  const time = parseTime(text);
  return time === null ? kUnknown : new Date(time).toLocaleTimeString(locale());
}

export function dateTime(text: string | null | undefined): string {
  const time = parseTime(text);
  return time === null ? kUnknown : new Date(time).toLocaleString(locale(), {dateStyle: 'medium', timeStyle: 'short'});
}

export function day(text: string | null | undefined): string {
  const time = parseTime(text);
  return time === null ? kUnknown : new Date(time).toLocaleDateString(locale(), {dateStyle: 'medium', timeZone: 'UTC'});
}

const kAges: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1],
];

// "5 minutes ago", seen from `now` (milliseconds).
export function age(text: string | null | undefined, now: number): string {
  const time = parseTime(text);
  if (time === null) return kUnknown;
  const seconds = Math.round((time - now) / 1000);
  const [unit, size] = kAges.find((entry) => Math.abs(seconds) >= entry[1]) ?? ['second', 1];
  return new Intl.RelativeTimeFormat(locale(), {numeric: 'auto', style: 'short'}).format(Math.round(seconds / size), unit);
}

// Text for a page in Markdown, which may be somebody else's: it can be no link, no markup and no end of what it stands in.
export const escapeMarkdown = (text: string): string => text.replace(/[\\`*_[\](){}<>#!|&~]/g, (c) => (c === '<' ? '&lt;' : c === '>' ? '&gt;' : c === '&' ? '&amp;' : `\\${c}`)).replace(/\s+/g, ' ');
