// What several views say in the same way.
import type {Change, Decision} from '../api';
import {t} from '../i18n';
import {euros, grams, signedPercent} from '../format';

export function unitName(unit: string): string {
  switch (unit) {
    case 'request': return t('unit.request');
    case '1k-tokens': return t('unit.tokens');
    case 'pod-hour': return t('unit.podHour');
    case 'run': return t('unit.run');
    default: return unit;
  }
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

// A node's name alone.
export const bestNode = (decision: Decision): string => decision.bound || decision.best;

export function changeText(change: Change | null): string {
  return change ? `${signedPercent(change.gco2eShare)} (${grams(change.gco2e)}, ${euros(change.eur)})` : '–';
}
