// What a reader chose, kept in the browser where it allows that.
export type Theme = 'auto' | 'light' | 'dark';
export type Language = 'en' | 'fr';

export function load(key: string): string | null {
  try {
    return localStorage.getItem(`sobre.${key}`);
  } catch {
    return null;
  }
}

export function save(key: string, value: string): void {
  try {
    localStorage.setItem(`sobre.${key}`, value);
  } catch {
    // A browser that keeps nothing still shows everything.
  }
}

export function savedTheme(): Theme {
  const theme = load('theme');
  return theme === 'light' || theme === 'dark' ? theme : 'auto';
}

export function applyTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
}

export function isDark(): boolean {
  const theme = document.documentElement.dataset['theme'];
  return theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

export function pickLanguage(saved: string | null, preferred: readonly string[]): Language {
  if (saved === 'en' || saved === 'fr') return saved;
  for (const tag of preferred) {
    if (tag.toLowerCase().startsWith('fr')) return 'fr';
    if (tag.toLowerCase().startsWith('en')) return 'en';
  }
  return 'en';
}
