/** A port that is asked: what is said to it, and how much of a stranger's answer is taken. */
import { expect, it } from "vitest";
import { portsIn } from "../../../cli/src/verbs/forward.ts";
import { askPort, forwardLine, pathIn, portIn } from "./ask-port.ts";

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
  expect([pathIn(""), pathIn("a b"), pathIn("/x\r\nHost: evil"), pathIn("//")]).toEqual(["/", "/a%20b", "/xHost:%20evil", "//"]);
  expect([pathIn("/a%20b?q=50%25&r=ü#part"), pathIn("@evil.example"), pathIn("\ud800")]).toEqual([
    "/a%20b?q=50%25&r=%C3%BC",
    "/@evil.example",
    "/%EF%BF%BD",
  ]);
  expect(portIn(" 80 ")).toBe(80);
  for (const bad of ["0", "65536", "80.5", "-1", "", "0x50"]) expect(() => portIn(bad), bad).toThrow(/a port is a number/);
});

/** A guest that says this, and then nothing for ever; and what calls off the asking. */
function silentAfter(words: string) {
  const off = new AbortController();
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      if (words !== "") controller.enqueue(new TextEncoder().encode(words));
      off.signal.addEventListener("abort", () => controller.error(new Error("it was called off")));
    },
  });
  const machine = { connect: async () => ({ readable, writable: new WritableStream<Uint8Array>() }) };
  return { machine, off };
}

it("shows what has come of an answer that does not end", async () => {
  const { machine, off } = silentAfter("data: one\n\n");
  const asked = askPort(machine, 80, "/events", off.signal);
  await new Promise((later) => setImmediate(later));
  off.abort();
  expect(await asked).toEqual({ bytes: new TextEncoder().encode("data: one\n\n"), isCut: true });
});

it("says so where nothing comes", async () => {
  const { machine, off } = silentAfter("");
  const asked = askPort(machine, 80, "/", off.signal);
  off.abort();
  await expect(asked).rejects.toThrow("nothing has come in 30 seconds");
});

it("names a command that takes such words", () => {
  const [xeno, verb, lease, ports] = forwardLine("ab".repeat(32)).split(" ");
  expect([xeno, verb, lease]).toEqual(["xeno", "forward", "abababababab"]);
  expect(portsIn(ports!)).toEqual({ local: 8080, guest: 80 });
});
