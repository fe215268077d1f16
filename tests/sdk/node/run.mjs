// Runs SDK scenarios against a base URL and prints one JSON object per scenario.
//
//     node run.mjs PACKAGE BASE_URL [--all | --translated | --ruled | --resumed] [--only NAME]
//
// PACKAGE is the directory whose node_modules to use (openai-6 or openai-7); BASE_URL is what an OpenAI
// client takes. With --all the Anthropic and Gemini clients run too; with --translated only
// those scenarios that are answered by a provider of another API, with --ruled only
// those that rules answer, with --resumed streams that go on elsewhere. The lines have the form of ../python/run.py's.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { failure, plain } from './normalise.mjs';

const [name, baseURL] = process.argv.slice(2);
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : null;
const load = createRequire(new URL(`./${name}/package.json`, import.meta.url));
const site = {
  baseURL: baseURL.replace(/\/$/, ''),
  origin: baseURL.replace(/\/v1\/?$/, ''),
  run: randomUUID(),
};

const own = ['translated', 'ruled', 'resumed'].find((table) => process.argv.includes(`--${table}`));
const first = `./${own ?? 'openai'}_scenarios.mjs`;
const tables = [(await import(first)).scenarios(load)];
if (process.argv.includes('--all')) {
  tables.push((await import('./other_scenarios.mjs')).scenarios(load));
}
for (const [scenario, { run, transport }] of tables.flatMap((table) => Object.entries(table))) {
  if (only !== null && only !== scenario) continue;
  let line;
  try {
    line = { outcome: 'ok', result: plain(await run(site)) };
  } catch (error) {
    line = { outcome: 'error', result: failure(error) };
  }
  console.log(JSON.stringify({ scenario, transport, ...line }));
}
