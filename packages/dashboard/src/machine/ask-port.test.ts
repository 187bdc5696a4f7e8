/** A port that is asked: what is said to it, and how much of a stranger's answer is taken. */
import { expect, it } from "vitest";
import { askPort, pathIn, portIn } from "./ask-port.ts";

const KIB = 1_024;

function guestThat(answers: (controller: ReadableStreamDefaultController<Uint8Array>) => void) {
  const asked: string[] = [];
  let cancelled = false;
  const machine = {
    connect: async () => ({
      readable: new ReadableStream<Uint8Array>({ pull: answers, cancel: () => void (cancelled = true) }),
      writable: new WritableStream<Uint8Array>({ write: (bytes) => void asked.push(new TextDecoder().decode(bytes)) }),
    }),
  };
  return { machine, asked, isCancelled: () => cancelled };
}

it("gives the whole of a small answer", async () => {
  let sent = 0;
  const { machine, asked } = guestThat((controller) => {
    if (sent++ > 1) return controller.close();
    controller.enqueue(new TextEncoder().encode(`part ${sent};`));
  });
  const { bytes, isCut } = await askPort(machine, 8080, "/a");
  expect([new TextDecoder().decode(bytes), isCut]).toEqual(["part 1;part 2;", false]);
  expect(asked.join("")).toBe("GET /a HTTP/1.0\r\nHost: localhost:8080\r\nAccept: */*\r\n\r\n");
});

it("takes the beginning of one without end, and lets go of it", async () => {
  const { machine, isCancelled } = guestThat((controller) => controller.enqueue(new Uint8Array(10_000).fill(65)));
  const { bytes, isCut } = await askPort(machine, 1, "/");
  expect([bytes.length, bytes.at(-1), isCut, isCancelled()]).toEqual([64 * KIB, 65, true, true]);
});

it("says the guest's reason", async () => {
  const { machine } = guestThat((controller) => controller.error(new Error("connection refused")));
  await expect(askPort(machine, 1, "/")).rejects.toThrow("connection refused");
});

it("asks for a path and a port, and for nothing else", () => {
  expect([pathIn(""), pathIn("a b"), pathIn("/x\r\nHost: evil"), pathIn("//")]).toEqual(["/", "/a%20b", "/x%0D%0AHost:%20evil", "//"]);
  expect(portIn(" 80 ")).toBe(80);
  for (const bad of ["0", "65536", "80.5", "-1", "", "0x50"]) expect(() => portIn(bad), bad).toThrow(/a port is a number/);
});
