import { once } from "node:events";
import { dial } from "../hostile-link.ts";
import { again, household, many, type Row } from "../row.ts";

const LINKS = 1_000;

export const halfHeaders: Row = {
  says: "requests whose headers never end",
  async play(url) {
    const open = async (i: number): Promise<void> => {
      const socket = await dial(url, household(i));
      socket.write(`GET /api/v1/offers HTTP/1.1\r\nhost: localhost\r\nx-long: ${"x".repeat(8_000)}`);
      socket.resume();
      again(once(socket, "close"), () => open(i));
    };
    await many(LINKS, open);
    return { links: LINKS };
  },
};
