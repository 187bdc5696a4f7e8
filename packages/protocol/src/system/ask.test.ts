/** Questions over HTTP: one contract for what Node and a browser ask by. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { nodeAsk } from "./node-ask.ts";
import { ask as webAsk } from "./web.ts";

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serving(answer: RequestListener): Promise<URL> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/asked?a=b`);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  return text;
}

describe.each([
  ["node", nodeAsk],
  ["web", webAsk],
])("%s", (_, ask) => {
  it("asks with method, headers and body, and reads text, JSON and bytes", async () => {
    const url = await serving(async (request, response) => {
      const { method, url: path, headers } = request;
      const { authorization, "content-length": length, "transfer-encoding": coding } = headers;
      response.end(JSON.stringify({ ...{ method, path, authorization, length, coding }, body: await bodyOf(request) }));
    });
    const posted = await ask(url, { method: "POST", headers: { authorization: "Bearer x" }, body: "ü" });
    expect([posted.ok, posted.status]).toEqual([true, 200]);
    expect(await posted.json()).toEqual({ method: "POST", path: "/asked?a=b", authorization: "Bearer x", length: "2", body: "ü" });
    expect(await (await ask(url)).text()).toBe('{"method":"GET","path":"/asked?a=b","body":""}');
    expect(new Uint8Array(await (await ask(url)).arrayBuffer()).length).toBe(46);
  });

  it("gives a refusal as an answer, and fails where nobody is", async () => {
    const url = await serving((_request, response) => response.writeHead(404).end("no"));
    const refused = await ask(url);
    expect([refused.ok, refused.status, await refused.text()]).toEqual([false, 404, "no"]);
    await expect(refused.json()).rejects.toThrow();
    const gone = await serving(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    await expect(ask(gone)).rejects.toThrow();
  });

  it("follows to where it is led, and shows nobody else there who asks", async () => {
    const there = await serving((request, response) => response.end(request.headers.authorization ?? "nobody"));
    const url = await serving((_request, response) => response.writeHead(302, { location: there.href }).end());
    expect(await (await ask(url, { headers: { authorization: "Bearer x" } })).text()).toBe("nobody");
  });

  it("rejects with the signal's reason: before it asks, before an answer, and within one", async () => {
    const why = new Error("nobody waits");
    const ends = new AbortController();
    const url = await serving((request, response) => {
      if (request.method === "POST") ends.abort(why);
      else response.write("{");
    });
    await expect(ask(url, { signal: AbortSignal.abort(why) })).rejects.toBe(why);
    await expect(ask(url, { method: "POST", signal: ends.signal })).rejects.toBe(why);
    const late = new AbortController();
    const head = await ask(url, { signal: late.signal });
    late.abort(why);
    await expect(head.text()).rejects.toBe(why);
  });

  it("takes an answer that is cut off for none", async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200, { "content-length": "9" }).write("{", () => response.destroy());
    });
    await expect(ask(url).then((answer) => answer.text())).rejects.toThrow();
  });
});

it.each(["here", "where it is led"])("takes no answer that has no end: %s", async (where) => {
  const MIB = Buffer.alloc(1024 * 1024);
  let sent = 0;
  const endless = await serving((_request, response) => {
    const more = (): void => {
      while (!response.destroyed && sent < 1024 && response.write(MIB)) sent++;
      if (sent === 1024) response.end();
    };
    response.on("drain", more).on("error", () => {});
    more();
  });
  const leading = await serving((_request, response) => response.writeHead(307, { location: endless.href }).end());
  const answer = await nodeAsk(where === "here" ? endless : leading);
  await expect(answer.text()).rejects.toThrow("longer than any is");
  expect(sent).toBeLessThan(300);
});

it("loads nothing of fetch", async () => {
  const url = await serving((_request, response) => response.end("{}"));
  const module = JSON.stringify(new URL("node-ask.ts", import.meta.url).href);
  const program = `import { nodeAsk } from ${module};
    await (await nodeAsk(new URL(${JSON.stringify(url.href)}))).json();
    console.log(JSON.stringify(process.moduleLoadList.filter((name) => name.includes("undici"))));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
  expect(JSON.parse(stdout)).toEqual([]);
});
