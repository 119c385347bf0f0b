// node build.mjs FOLDER: bundles the page into the folder.
import {cpSync, mkdirSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) throw new Error('usage: node build.mjs FOLDER');
mkdirSync(out, {recursive: true});

// The licence of what is bundled asks that its notice travels with it.
const notice = `/*! uPlot\n${readFileSync(join(here, 'node_modules/uplot/LICENSE'), 'utf8').trim()}\n*/`;
await build({
  absWorkingDir: here,
  entryPoints: {app: 'src/main.ts'},
  outdir: out,
  bundle: true,
  minify: true,
  charset: 'utf8',
  target: 'es2022',
  format: 'esm',
  legalComments: 'none',
  banner: {js: notice, css: notice},
  logLevel: 'warning',
});
for (const file of ['index.html', 'icon.svg']) cpSync(join(here, 'src', file), join(out, file));
