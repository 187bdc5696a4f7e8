/**
 * `servers.ts URL COUNT`: that many servers, each with a key and an offer of its own, a hundred to an owner. For each URL that it reads on
 * stdin they all log in there at once, each from its household's address and again where it was refused, and it prints how long it took
 * until the last was welcome.
 */
import { createInterface } from "node:readline";
import { HostileLink } from "../../test/flood/hostile-link.ts";
import { ownServer, type OwnServer } from "../../test/flood/own-server.ts";
import { household, many, stranger } from "../../test/flood/row.ts";

const SERVERS_PER_OWNER = 100;
const AGAIN_MS = 250;
const [url = "", count = ""] = process.argv.slice(2);

const owners = await many(Math.ceil(Number(count) / SERVERS_PER_OWNER), () => stranger(url));
const servers = await many(Number(count), (i) => ownServer(owners[i % owners.length]!, []));
let refused = 0;

async function back({ machine }: OwnServer, at: string, from: string): Promise<HostileLink> {
  for (;;) {
    const link = await HostileLink.open(at, from)
      .then((opened) => opened.login(machine))
      .catch(() => null);
    if (link) return link;
    refused++;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

console.log(JSON.stringify(servers.map(({ id }) => id)));
for await (const at of createInterface({ input: process.stdin })) {
  refused = 0;
  const start = performance.now();
  const links = await Promise.all(servers.map((server, i) => back(server, at, household(i))));
  console.log(JSON.stringify({ ms: performance.now() - start, refused }));
  for (const { socket } of links) socket.destroy();
}
