import { once } from "node:events";
import { dial } from "../hostile-link.ts";
import { again, household, many, stranger, type Row } from "../row.ts";

const LINKS = 600;

export const eventStreams: Row = {
  says: "event streams of one party, unread",
  async play(url) {
    const one = await stranger(url);
    const token = await one.login();
    const open = async (i: number): Promise<void> => {
      const socket = await dial(url, household(i));
      socket.write(`GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nauthorization: Bearer ${token}\r\n\r\n`);
      await Promise.race([once(socket, "data"), once(socket, "close")]).catch(() => {});
      socket.pause();
      again(once(socket, "close"), () => open(i));
    };
    await many(LINKS, open);
    return { links: LINKS };
  },
};
