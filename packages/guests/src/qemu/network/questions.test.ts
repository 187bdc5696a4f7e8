import packet from "dns-packet";
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { answerQuestion, type Found } from "./questions.ts";

const ask = (name: string, type: "A" | "AAAA" = "A"): Buffer => packet.encode({ type: "query", id: 7, questions: [{ name, type }] });
const places = async (name: string, wanted: boolean): Promise<Found> =>
  name === "a.example" ? (wanted ? ["8.8.8.8"] : []) : name === "busy.example" ? "failed" : "refused";

it("tells the address of a name that is allowed, and refuses the rest", async () => {
  const told = packet.decode((await answerQuestion(ask("A.Example"), places))!);
  expect(told).toMatchObject({ id: 7, rcode: "NOERROR", answers: [{ name: "A.Example", data: "8.8.8.8" }] });
  expect(packet.decode((await answerQuestion(ask("a.example", "AAAA"), places))!)).toMatchObject({ rcode: "NOERROR", answers: [] });
  expect(packet.decode((await answerQuestion(ask("b.example"), places))!)).toMatchObject({ rcode: "REFUSED", answers: [] });
  expect(packet.decode((await answerQuestion(ask("busy.example"), places))!)).toMatchObject({ rcode: "SERVFAIL", answers: [] });
});

it("follows no pointer in a name that leads to itself, in a circle, forward or outside", async () => {
  const head = ask("a").subarray(0, 12);
  const ends = [0, 1, 0, 1]; // type A, class IN
  const names = [[0xc0, 12], [0xc0, 14, 0xc0, 12], [1, 97, 0xc0, 12], [0xc0, 16, 0, 0], [0xff, 0xff], [0xc0], [0x40, 1], [0x80, 1]];
  for (const name of names) {
    const asked: string[] = [];
    const answer = await answerQuestion(Buffer.from([...head, ...name, ...ends]), async (wanted) => {
      asked.push(wanted);
      return "refused";
    });
    expect([name, answer, asked]).toEqual([name, null, []]);
  }
});

it("makes no room for records that a header says and its bytes cannot hold, and takes one question at a time", async () => {
  const decode = vi.spyOn(packet, "decode");
  for (const at of [4, 6, 8, 10]) {
    const lie = ask("a.example");
    lie.writeUInt16BE(65_535, at);
    expect([at, await answerQuestion(lie, places)]).toEqual([at, null]);
  }
  for (const length of [0, 4, 11, 12, 16])
    expect([length, await answerQuestion(ask("a.example").subarray(0, length), places)]).toEqual([length, null]);
  const two = packet.encode({ type: "query", questions: ["a.example", "b.example"].map((name) => ({ name, type: "A" as const })) });
  expect(await answerQuestion(two, places)).toBeNull();
  expect(decode).not.toHaveBeenCalled();
  decode.mockRestore();
  const options = new Uint8Array([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]); // as resolvers send them (EDNS, RFC 6891)
  const extended = Buffer.concat([ask("a.example"), options]);
  extended.writeUInt16BE(1, 10);
  expect(packet.decode((await answerQuestion(extended, places))!)).toMatchObject({ answers: [{ data: "8.8.8.8" }], additionals: [] });
});

it("answers no name that would stand in its answer as another one", async () => {
  const labels = [["a.b"], ["."], ["a", "."], ["\xff".repeat(40)], ["a", "\xe9"], ["x".repeat(63), "\x80"]];
  for (const each of labels) {
    const name = each.flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]);
    const bytes = Buffer.from([...ask("a").subarray(0, 12), ...name, 0, 0, 1, 0, 1]);
    expect([each, await answerQuestion(bytes, async () => "refused")]).toEqual([each, null]);
  }
  for (const name of [".", "a", "_dmarc.A-b.example", `${"x".repeat(63)}.example`])
    expect(packet.decode((await answerQuestion(ask(name), async () => ["8.8.8.8"]))!).questions).toMatchObject([{ name }]);
});

it("takes any bytes of a guest without failing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(200), async (noise, at) => {
      const question = ask("a.example");
      const damaged = Buffer.concat([question.subarray(0, at), noise, question.subarray(at)]);
      for (const bytes of [Buffer.from(noise), damaged]) await answerQuestion(bytes, async () => ["8.8.8.8"]);
    }),
    { numRuns: 2_000 },
  );
});
