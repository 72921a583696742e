// Bundles the page and lays Grafana's icons and font where its components look for them. node build.mjs FOLDER

import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';

const to = process.argv[2];
const font = 'node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2';

await build({
  entryPoints: ['src/page.tsx'],
  outdir: to,
  bundle: true,
  format: 'esm',
  splitting: true, // the code editor that the library carries is not loaded
  minify: true,
  loader: { '.ttf': 'empty' },
});
copyFileSync('src/index.html', join(to, 'index.html'));
cpSync('node_modules/@grafana/ui/dist/public/img', join(to, 'public/build/img'), { recursive: true });
mkdirSync(join(to, 'public/fonts/inter'), { recursive: true });
for (const weight of ['Regular', 'Medium']) {
  copyFileSync(font, join(to, `public/fonts/inter/Inter-${weight}.woff2`));
}
