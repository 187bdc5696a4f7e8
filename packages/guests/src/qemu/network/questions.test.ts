import packet from "dns-packet";
import fc from "fast-check";
import { expect, it } from "vitest";
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
