/** A page's bundle: what it takes, and a server of its own. */
import { mkdir, readFile, readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { gzipSync } from "node:zlib";

export const HTML = '<!doctype html><meta charset="utf-8"><title>a page</title><script type="module" src="./page.ts"></script>\n';

/** As a page's project is: no types of Node's, and every declaration is looked at. */
export const strictOf = (...files: string[]) => ({
  compilerOptions: {
    ...{ target: "es2024", module: "esnext", moduleResolution: "bundler", lib: ["es2024", "dom", "dom.iterable"], types: [], strict: true },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false, noEmit: true },
  },
  files,
});

/** What all scripts of a bundle take with gzip. */
export async function bytesOf(dist: string): Promise<number> {
  const scripts = (await readdir(path.join(dist, "assets"))).filter((name) => name.endsWith(".js"));
  const sizes = scripts.map(async (name) => gzipSync(await readFile(path.join(dist, "assets", name)), { level: 9 }).length);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Serves the bundle, to be run with what it brings and nothing that is made of text; `besides`: files of any other name. */
export async function served(
  dist: string,
  csp: () => string,
  besides: ReadonlyMap<string, string> = new Map(),
): Promise<{ server: Server; origin: string }> {
  await mkdir(dist, { recursive: true });
  const server = createServer((request, response) => {
    const asked = path.basename(request.url ?? "");
    const name = request.url === "/" ? "index.html" : `assets/${asked}`;
    const type = name.endsWith(".html") ? "text/html" : "text/javascript";
    void readFile(besides.get(asked) ?? path.join(dist, name)).then(
      (bytes) => response.writeHead(200, { "content-type": type, "content-security-policy": csp() }).end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
