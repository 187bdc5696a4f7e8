import { once } from "node:events";
import { dial } from "../hostile-link.ts";
import { again, household, many, type Row } from "../row.ts";

const LINKS = 50;
const REQUEST = "GET /api/v1/offers HTTP/1.1\r\nhost: localhost\r\n\r\n";
/** As many as a connection may have unanswered. */
const AT_ONCE = 16;

export const requests: Row = {
  says: "requests of nobody, one after the other: on half of the connections without end, on the others as many as are answered",
  async play(url) {
    const open = async (i: number): Promise<void> => {
      const socket = await dial(url, household(i % 2));
      const isGone = once(socket, "close").catch(() => {});
      again(isGone, () => open(i));
      let answers = 0;
      socket.on("data", (bytes: Buffer) => {
        answers += bytes.toString("latin1").split("HTTP/1.1 ").length - 1;
        if (i % 4 > 1 || answers < AT_ONCE) return;
        answers = 0;
        socket.write(REQUEST.repeat(AT_ONCE));
      });
      socket.write(REQUEST.repeat(AT_ONCE));
      if (i % 4 < 2) return;
      void (async () => {
        while (!socket.destroyed) {
          socket.write(REQUEST.repeat(4 * AT_ONCE));
          if (socket.writableNeedDrain) await Promise.race([once(socket, "drain").catch(() => {}), isGone]);
          else await new Promise((resolve) => setImmediate(resolve));
        }
      })();
    };
    await many(LINKS, open);
    return { links: LINKS };
  },
};
