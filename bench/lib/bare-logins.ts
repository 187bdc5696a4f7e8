/** What a login costs by itself: a WebSocket on which a challenge is signed, the signature checked, and the key found in the database. */
import type { AddressInfo } from "node:net";
import { parseDocumentOf } from "@xenoservers/protocol";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Pool } from "pg";
import { WebSocketServer } from "ws";

export async function bareLogins(pool: Pool, market: MarketInfo): Promise<{ url: string; close(): void }> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (socket) => {
    const challenge = Buffer.from(nodeCrypto.randomBytes(32)).toString("hex");
    socket.send(JSON.stringify({ t: "challenge", challenge, market }));
    socket.on("message", (data: Buffer) => {
      const parsed = parseDocumentOf(nodeCrypto, "login", (JSON.parse(data.toString()) as { login: unknown }).login);
      if (!parsed.ok || parsed.document.payload.challenge !== challenge) return socket.close();
      void pool
        .query("select data from entity where kind = 'key' and id = $1", [parsed.document.keyid])
        .then(({ rowCount }) => (rowCount === 1 ? socket.send(JSON.stringify({ t: "welcome" })) : socket.close()));
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}
