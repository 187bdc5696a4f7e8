/** Debian's Chromium, driven by Playwright, which is installed in a folder of the test's own. */
import path from "node:path";
import { pathToFileURL } from "node:url";

export const PLAYWRIGHT = "playwright-core@1.65.1";
const CHROMIUM = "/usr/bin/chromium";
/** Only what hangs meets this, and is told what it waited for: Playwright's own half a minute is short on a machine that does much else. */
const HANGS_MS = 600_000;

interface InputFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}
/** What of Playwright is used here. */
export interface Found {
  click(): Promise<void>;
  fill(text: string): Promise<void>;
  check(): Promise<void>;
  press(key: string): Promise<void>;
  selectOption(value: string): Promise<unknown>;
  innerText(): Promise<string>;
  inputValue(): Promise<string>;
  count(): Promise<number>;
  isEnabled(): Promise<boolean>;
  setInputFiles(files: InputFile | readonly InputFile[] | string): Promise<void>;
  waitFor(options?: { state?: "visible" | "hidden"; timeout?: number }): Promise<void>;
  filter(options: { hasText: string | RegExp }): Found;
  getByRole(role: string, options?: { name?: string | RegExp; exact?: boolean }): Found;
  first(): Found;
}
interface Download {
  suggestedFilename(): string;
  path(): Promise<string>;
}
export interface Tab {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  url(): string;
  keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  emulateMedia(options: { colorScheme: "dark" | "light" }): Promise<void>;
  screenshot(options: { path: string; fullPage?: boolean }): Promise<unknown>;
  /** What it asks for at such an address is asked as `answer` says. */
  route(
    url: RegExp,
    answer: (route: { request(): { url(): string }; continue(options: { url: string }): Promise<void> }) => Promise<void>,
  ): Promise<unknown>;
  waitForFunction(what: string): Promise<unknown>;
  waitForEvent(event: "download"): Promise<Download>;
  evaluate<R>(script: string): Promise<R>;
  evaluate<A, R>(run: (given: A) => R | Promise<R>, given: A): Promise<R>;
  getByRole: Found["getByRole"];
  getByText(text: string | RegExp, options?: { exact?: boolean }): Found;
  on(event: "pageerror", listener: (error: Error) => void): unknown;
  on(event: "console", listener: (message: { type(): string; text(): string }) => void): unknown;
  on(
    event: "request",
    listener: (request: { url(): string; headers(): Record<string, string>; postData(): string | null }) => void,
  ): unknown;
}
/** Of pages and contexts alike: for whatever is waited for in them. */
interface Patient {
  setDefaultTimeout(ms: number): void;
}
interface Context {
  newPage(): Promise<Tab>;
  /** Runs in each document before anything of its own. */
  addInitScript(script: string): Promise<void>;
  close(): Promise<void>;
}
export interface Browser {
  newPage(): Promise<Tab>;
  /** Apart from all others: nothing that they keep is seen in it. */
  newContext(options?: { locale?: string; javaScriptEnabled?: boolean }): Promise<Context>;
  version(): string;
  close(): Promise<void>;
}
interface Launched extends Browser {
  newPage(): Promise<Tab & Patient>;
  newContext(options?: Parameters<Browser["newContext"]>[0]): Promise<Context & Patient>;
}
interface Chromium {
  launch(options: { executablePath: string; args: string[]; timeout: number }): Promise<Launched>;
}

/** `folder`: where PLAYWRIGHT is installed. */
export async function startChromium(folder: string): Promise<Browser> {
  const playwright = pathToFileURL(path.join(folder, "node_modules/playwright-core/index.mjs")).href;
  const { chromium } = (await import(playwright)) as { chromium: Chromium };
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"], timeout: HANGS_MS });
  const patient = <T extends Patient>(each: T): T => (each.setDefaultTimeout(HANGS_MS), each);
  return {
    newPage: async () => patient(await browser.newPage()),
    newContext: async (options) => patient(await browser.newContext(options)),
    version: () => browser.version(),
    close: () => browser.close(),
  };
}
