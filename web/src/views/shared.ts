// What several views say in the same way.
import type {Change} from '../api';
import {t} from '../i18n';
import {euros, grams, signedPercent, unitsTold, type Maybe} from '../format';
import {chip} from '../ui';

export function unitName(unit: string): string {
  switch (unit) {
    case 'request': return t('unit.request');
    case '1k-tokens': return t('unit.tokens');
    case 'pod-hour': return t('unit.podHour');
    case 'run': return t('unit.run');
    default: return unit;
  }
}

// One denominator for all figures of a row, or of a table: how many units they are of, and its name.
export interface Per { units: number; name: string }
export function perUnits(unit: string, ofEuros: readonly Maybe[]): Per {
  const units = unitsTold(unit, ofEuros);
  if (units === 1) return {units, name: unitName(unit)};
  return {units, name: t(unit === 'request' ? 'unit.millionRequests' : 'unit.millionTokens')};
}

export function ledgerName(ledger: string): string {
  switch (ledger) {
    case 'placement': return t('ledger.placement');
    case 'report': return t('ledger.report');
    case 'new capacity': return t('ledger.newCapacity');
    default: return ledger;
  }
}

// A sentence holds the first few; a table has them all.
export function someOf(names: readonly string[]): string {
  const kMost = 3;
  if (names.length <= kMost + 1) return names.join(', ');
  return t('andOthers', {names: names.slice(0, kMost).join(', '), n: names.length - kMost});
}

export const kObjectives = ['balanced', 'carbon', 'cost', 'priced'] as const;

export function objectiveName(objective: string): string {
  switch (objective) {
    case 'balanced': return t('objective.balanced');
    case 'carbon': return t('objective.carbon');
    case 'cost': return t('objective.cost');
    case 'priced': return t('objective.priced');
    default: return objective;
  }
}

export function objectiveOptions(): [string, string][] {
  return kObjectives.map((objective) => [objective, objectiveName(objective)]);
}

// Figures are the best node's, so that is the node shown; where the pod runs elsewhere, this says so.
export function notFollowed(ranOn: string): HTMLElement {
  return chip(ranOn ? t('ranOn', {node: ranOn}) : t('notFollowed'), 'warning');
}

export function changeText(change: Change | null): string {
  return change ? `${signedPercent(change.gco2eShare)} (${grams(change.gco2e)}, ${euros(change.eur)})` : '–';
}
