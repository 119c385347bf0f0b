import {en} from './en';
import {fr} from './fr';
import type {Language} from '../settings';

export type Key = keyof typeof en;
// Each language says all: a key that is missing or unknown does not compile.
export type Dictionary = Readonly<Record<Key, string>>;

export const dictionaries: Readonly<Record<Language, Dictionary>> = {en, fr};

let language: Language = 'en';
let plural = new Intl.PluralRules('en');

export function setLanguage(to: Language): void {
  language = to;
  plural = new Intl.PluralRules(to);
}

export function currentLanguage(): Language {
  return language;
}

// "{n} node|{n} nodes" has a singular and a plural, chosen by n. `count` is n where n is formatted.
export function t(key: Key, values: Record<string, string | number> = {}, count?: number): string {
  let text = dictionaries[language][key];
  const n = count ?? values['n'];
  if (text.includes('|')) {
    const [one = '', other = ''] = text.split('|');
    text = typeof n === 'number' && plural.select(n) === 'one' ? one : other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
