// Drives headless Chromium with the official livekit-client for a Rust test.
//
// One JSON object a line on stdin: {"id", "as", "cmd", ...arguments}; one a line on stdout: {"id", "ok", "result"} or
// {"id", "ok": false, "error"}. `as` names a participant; each has a page and a browser context of its own. The first
// line out is {"ready": true, ...}. The driver ends, and ends its Chromium, when stdin closes.
//
// Arguments of the program are further Chromium flags. CHROMIUM names the executable.
//
// Commands (see page.js for their arguments): join, accept, publish, share, mute, state, events, video_stats, rtc_stats, read_stamp,
// picture, audio_level, send_data, received_data, chat, received_chat, set_quality, simulate, leave, close, quit; and of
// measure.js: join_and_see, publish_stamped, watch_pictures, pictures, concealment, publish_pulses, hear_pulses, pulses.

import { createServer } from 'node:http';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const CLIENT = path.join(HERE, 'node_modules/livekit-client');
const COMMAND_TIMEOUT_MS = 40_000;
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
];
const USUAL_PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const found = USUAL_PLACES.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error('no Chromium found; install it or set CHROMIUM to its path');
  return found;
}

/** Serves the page and the client from this machine only. */
async function servePage() {
  const html = '<!doctype html><meta charset="utf-8"><title>Rotunda test</title>'
    + '<script src="/livekit-client.js"></script><script src="/page.js"></script><script src="/measure.js"></script>';
  const files = new Map([
    ['/', ['text/html', Buffer.from(html)]],
    ['/page.js', ['text/javascript', readFileSync(path.join(HERE, 'page.js'))]],
    ['/measure.js', ['text/javascript', readFileSync(path.join(HERE, 'measure.js'))]],
    ['/livekit-client.js', ['text/javascript', readFileSync(path.join(CLIENT, 'dist/livekit-client.umd.js'))]],
  ]);
  const server = createServer((request, response) => {
    const file = files.get(request.url);
    response.writeHead(file ? 200 : 404, { 'content-type': file ? file[0] : 'text/plain' });
    response.end(file ? file[1] : 'not here');
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return { server, url: `http://127.0.0.1:${server.address().port}/` };
}

const pages = new Map();

async function pageOf(browser, url, name) {
  const known = pages.get(name);
  if (known) return known;
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`[${name}] ${error.message}\n`));
  page.on('console', (message) => {
    if (process.env.ROTUNDA_BROWSER_LOG) process.stderr.write(`[${name}] ${message.text()}\n`);
  });
  await page.goto(url);
  pages.set(name, page);
  return page;
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${COMMAND_TIMEOUT_MS} ms`)), COMMAND_TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function obey(browser, url, request) {
  const { as = 'browser', cmd, id: _id, ...rest } = request;
  if (cmd === 'close') {
    // Without a goodbye, as when a tab crashes or is closed.
    await pages.get(as)?.context().close();
    pages.delete(as);
    return {};
  }
  const page = await pageOf(browser, url, as);
  return page.evaluate(([name, given]) => window.driver.run(name, given), [cmd, rest]);
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main() {
  const { server, url } = await servePage();
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    headless: true,
    args: [...FLAGS, ...process.argv.slice(2)],
    ignoreDefaultArgs: ['--mute-audio'],
    handleSIGINT: true,
    handleSIGTERM: true,
    handleSIGHUP: true,
  });
  const crashed = () => process.exit(3);
  const end = async (code) => {
    browser.off('disconnected', crashed);
    await Promise.race([browser.close(), new Promise((resolve) => setTimeout(resolve, 5000))]);
    server.close();
    process.exit(code);
  };
  browser.on('disconnected', crashed);
  const { version } = JSON.parse(readFileSync(path.join(CLIENT, 'package.json'), 'utf8'));
  say({ ready: true, chromium: browser.version(), livekit_client: version });

  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => end(0));
  lines.on('line', async (line) => {
    if (!line.trim()) return;
    let request;
    try {
      request = JSON.parse(line);
    } catch (error) {
      say({ id: null, ok: false, error: `not JSON: ${error.message}` });
      return;
    }
    if (request.cmd === 'quit') {
      say({ id: request.id, ok: true, result: {} });
      await end(0);
      return;
    }
    try {
      const result = await within(obey(browser, url, request), request.cmd);
      say({ id: request.id, ok: true, result: result ?? {} });
    } catch (error) {
      say({ id: request.id, ok: false, error: String(error.message ?? error).split('\n')[0].replace(/^page\.evaluate: (Error: )?/, '') });
    }
  });
}

main().catch((error) => {
  say({ ready: false, error: String(error.message ?? error) });
  process.exit(2);
});
