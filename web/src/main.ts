import './styles/main.css';
import {kWhoLooks} from './api';
import {h, replace, setText} from './dom';
import {setLanguage, t, type Key} from './i18n';
import {identify, identity} from './identity';
import {hashOf, parseHash} from './router';
import {applyTheme, load, pickLanguage, save, savedTheme, type Language, type Theme} from './settings';
import {field, said} from './ui';
import type {Context, View} from './view';
import {backtests} from './views/backtests';
import {budgets} from './views/budgets';
import {decisions} from './views/decisions';
import {moves} from './views/moves';
import {now} from './views/now';
import {policy} from './views/policy';
import {regions} from './views/regions';
import {reports} from './views/reports';
import {signals} from './views/signals';
import {models, workloads} from './views/workloads';

const kViews: readonly View[] = [now, regions, decisions, workloads, models, policy, moves, signals, reports, budgets, backtests];
const kThemes: readonly Theme[] = ['auto', 'light', 'dark'];
const kThemeNames: Readonly<Record<Theme, Key>> = {auto: 'theme.auto', light: 'theme.light', dark: 'theme.dark'};

class Page {
  private language: Language = pickLanguage(load('language'), navigator.languages);
  private theme = savedTheme();
  private left = new AbortController();
  private address: string | null = null;
  private readonly heading = h('h1', {tabindex: -1, id: 'title'});
  private readonly root = h('div', {class: 'view'});
  private readonly who = h('div');
  private readonly live = h('div', {class: 'visually-hidden', 'aria-live': 'polite', role: 'status'});
  private readonly nav = h('nav');
  private readonly skip = h('a', {class: 'skip', href: '#title', click: (event: Event) => {
    event.preventDefault();
    this.heading.focus();
  }});
  private readonly tools = h('div', {class: 'tools'});
  private readonly menu = h('button', {type: 'button', class: 'menu', 'aria-expanded': 'false', 'aria-controls': 'nav', 'data-testid': 'menu', click: () => this.openMenu(this.side.dataset['open'] !== 'true')});
  private readonly side = h('header', {class: 'side'}, h('div', {class: 'brand-row'}, h('a', {class: 'brand', href: hashOf('now')}, h('img', {src: 'assets/icon.svg', alt: '', width: 28, height: 28}), 'Sobre'), this.menu),
                            h('div', {class: 'side-body', id: 'nav'}, this.nav, this.tools));

  start(app: HTMLElement): void {
    applyTheme(this.theme);
    setLanguage(this.language);
    replace(app, this.skip, this.side, h('main', {}, this.heading, this.who, this.root), this.live);
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.openMenu(false);
    });
    addEventListener('hashchange', () => this.go());
    document.addEventListener(kWhoLooks, (event) => this.askWhoLooks(String((event as CustomEvent<string>).detail)));
    this.dress();
    this.go();
  }

  // Once, until it is answered: what was typed is not taken away by the next answer that says no.
  private askWhoLooks(message: string): void {
    if (this.who.firstChild) return;
    const token = h('input', {type: 'password', autocomplete: 'off', spellcheck: 'false', required: true, 'data-testid': 'token'});
    const namespace = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', value: identity().namespace, 'data-testid': 'only-namespace'});
    const form = h('form', {class: 'controls', submit: (event: Event) => {
      event.preventDefault();
      identify({token: token.value.trim(), namespace: namespace.value.trim()});
      this.who.replaceChildren();
      this.go();
    }}, field(t('who.token'), token, t('who.tokenHint')), field(t('who.namespace'), namespace, t('who.namespaceHint')),
                  h('button', {type: 'submit', 'data-testid': 'sign-in-go'}, t('who.go')));
    replace(this.who, h('section', {class: 'panel', 'data-testid': 'sign-in'}, h('h2', {}, t('who.title')), h('p', {}, said(message)), form));
  }

  private openMenu(open: boolean): void {
    this.side.dataset['open'] = String(open);
    this.menu.setAttribute('aria-expanded', String(open));
  }

  // All that does not belong to a view, in the language of the reader.
  private dress(): void {
    document.documentElement.lang = this.language;
    this.nav.setAttribute('aria-label', t('nav.label'));
    setText(this.skip, t('skip'));
    setText(this.menu, t('menu'));
    replace(this.nav, h('ul', {}, kViews.map((view) => h('li', {}, h('a', {href: hashOf(view.id), 'data-testid': `nav-${view.id}`, 'data-view': view.id, click: () => this.openMenu(false)}, t(view.name))))));
    const other: Language = this.language === 'en' ? 'fr' : 'en';
    const themes = h('select', {'aria-label': t('theme'), 'data-testid': 'theme', change: () => this.setTheme(themes.value as Theme)},
                     kThemes.map((theme) => h('option', {value: theme, selected: theme === this.theme}, t(kThemeNames[theme]))));
    replace(this.tools, themes, h('button', {type: 'button', lang: other, 'data-testid': 'language', click: () => this.setLanguage(other)}, other === 'fr' ? 'Français' : 'English'));
  }

  private setTheme(theme: Theme): void {
    this.theme = theme;
    save('theme', theme);
    applyTheme(theme);
    document.dispatchEvent(new Event('sobre-theme'));
  }

  private setLanguage(language: Language): void {
    this.language = language;
    save('language', language);
    setLanguage(language);
    this.dress();
    this.address = null;
    this.go();
    this.tools.querySelector('button')?.focus();
  }

  private go(): void {
    const first = this.address === null;
    this.address = location.hash;
    this.left.abort();
    this.left = new AbortController();
    const route = parseHash(location.hash);
    const view = kViews.find((each) => each.id === route.view) ?? now;
    for (const link of this.nav.querySelectorAll('a')) {
      if (link.dataset['view'] === view.id) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    const context: Context = {
      root: this.root, route, signal: this.left.signal,
      announce: (text) => setText(this.live, text),
      title: (text) => this.title(text),
    };
    this.root.replaceChildren();
    this.root.dataset['view'] = view.id;
    setText(this.live, '');
    this.title(t(view.name));
    view.mount(context);
    if (first) return;
    scrollTo(0, 0);
    this.heading.focus({preventScroll: true});
  }

  private title(text: string): void {
    setText(this.heading, text);
    document.title = `${text} · Sobre`;
  }
}

const app = document.getElementById('app');
if (app) new Page().start(app);
