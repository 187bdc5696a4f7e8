import { once } from "node:events";
import { dial } from "../hostile-link.ts";
import { household, many, type Row } from "../row.ts";

const LINKS = 50;

export const requests: Row = {
  says: "requests of nobody, one after the other on each connection",
  async play(url) {
    const sockets = await many(LINKS, (i) => dial(url, household(i % 2)));
    for (const socket of sockets) {
      socket.resume();
      void (async () => {
        const batch = "GET /api/v1/offers HTTP/1.1\r\nhost: market\r\n\r\n".repeat(64);
        while (!socket.destroyed)
          if (!socket.write(batch)) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
      })();
    }
    return { links: LINKS };
  },
};
