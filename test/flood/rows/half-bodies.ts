import { once } from "node:events";
import { dial } from "../hostile-link.ts";
import { again, household, many, type Row } from "../row.ts";

const LINKS = 1_000;
const LENGTH = 250_000;

export const halfBodies: Row = {
  says: "bodies that are begun and never ended",
  async play(url) {
    const open = async (i: number): Promise<void> => {
      const socket = await dial(url, household(i));
      socket.write(
        `POST /api/v1/documents HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${LENGTH}\r\n\r\n${"{".padEnd(LENGTH - 1)}`,
      );
      socket.resume();
      again(once(socket, "close"), () => open(i));
    };
    await many(LINKS, open);
    return { links: LINKS };
  },
};
