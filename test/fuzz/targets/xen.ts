/** What Xen's toolstack prints in dom0: its own words, among names that whoever makes domains chose; and what domains ask of dom0's side. */
import { answerAddress } from "../../../packages/guests/src/xen/address-answer.ts";
import { parseOffer } from "../../../packages/guests/src/xen/domain-consoles.ts";
import { parseListing } from "../../../packages/guests/src/xen/listing.ts";
import { parseUsage } from "../../../packages/guests/src/xen/usage.ts";
import { parseInfo } from "../../../packages/guests/src/xen/xen-info.ts";
import { takeAnswers, type StoreQuestion } from "../../../packages/guests/src/xen/xen-store.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentLine } from "../mutate/text.ts";
import { ACCEPTED, REFUSED, byThrowing, bytesOf, demand, textOf, type Target } from "../target.ts";

const LISTED = [
  "Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label",
  "Domain-0                                     0  1024     1     r-----      61.3 00000000-0000-0000-0000-000000000000        -                -",
  "xeno-aaaa                                    1   128     1     ---sc-      28.0 2fdc2492-eb2c-11f1-8556-525400123456        3                -",
].join("\n");
const USED = [
  "      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID",
  "  Domain-0 -----r         30    0.0    1048576   25.0    1048576      25.0     1    0        0        0    0        0        0        0          0          0    0",
].join("\n");
const INFO = [
  ...[
    "nr_cpus                : 1",
    "virt_caps              : pv hvm hap",
    "total_memory           : 4095",
    "free_memory            : 3028",
  ],
  ...["xen_version            : 4.17.7", "xen_scheduler          : credit2"],
].join("\n");

const toolstack: Target = {
  name: "toolstack",
  covers: ["guests/src/xen/listing.ts#parseListing", "guests/src/xen/usage.ts#parseUsage", "guests/src/xen/xen-info.ts#parseInfo"],
  corpus: async () => [LISTED, USED, INFO].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const text = textOf(input);
    const outcomes = [
      byThrowing(() => {
        for (const { id, uuid, memoryMib, shutdown } of parseListing(text)) {
          demand(Number.isInteger(id) && Number.isInteger(memoryMib) && uuid.length === 36, "a domain is listed by what is no number");
          demand(shutdown === null || typeof shutdown === "string", "a domain ended for no reason that there is");
        }
      }, Error),
      byThrowing(() => {
        for (const used of parseUsage(text)) demand(Number.isInteger(used.cpuSeconds), "a domain's use is no number");
      }, Error),
      byThrowing(() => {
        const { cpus, freeMib } = parseInfo(text);
        demand(Number.isSafeInteger(cpus) && Number.isSafeInteger(freeMib), "a host's size is no number");
      }, Error),
    ];
    return outcomes.find((outcome) => outcome === "accepted") ?? "Error";
  },
};

/** As a client asks (RFC 2131, figure 1), with those options. */
function asking(...options: number[]): Uint8Array {
  const bytes = new Uint8Array(300);
  bytes.set([1, 1, 6, 0, 1, 2, 3, 4]);
  bytes.set([0x63, 0x82, 0x53, 0x63, ...options, 255], 236);
  return bytes;
}

const OURS = Buffer.from([10, 0, 2, 15]);

const address: Target = {
  name: "address-question",
  covers: ["guests/src/xen/address-answer.ts#answerAddress"],
  corpus: async () => [
    ...[asking(53, 1, 1), asking(53, 1, 3, 54, 4, 10, 0, 2, 2, 50, 4, ...OURS), asking(53, 1, 3, 50, 4, 1, 2, 3, 4), asking(53, 1, 8)],
    asking(0, 61, 7, 1, 0, 1, 2, 3, 4, 5, 12, 3, 97, 98, 99, 53, 1, 1),
  ],
  mutate: bentBytes,
  async play(input) {
    const answer = answerAddress(Buffer.from(input));
    if (!answer) return REFUSED;
    demand(answer[0] === 2 && answer.length < 300, "an answer is none, or larger than any");
    demand(answer.subarray(4, 8).equals(input.subarray(4, 8)), "an answer is to another question");
    const yours = answer.subarray(16, 20);
    demand(yours.equals(OURS) || yours.readUInt32BE() === 0, "a guest is told an address that is not its own");
    return ACCEPTED;
  },
};

/** What a domain's kernel writes of its consoles. */
const offers: Target = {
  name: "console-offers",
  covers: ["guests/src/xen/domain-consoles.ts#parseOffer"],
  corpus: async () => ["8\n27\n", "4294967295\n4294967295"].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const offer = parseOffer(textOf(input));
    if (offer === null) return REFUSED;
    for (const number of [offer.grant, offer.port])
      demand(Number.isInteger(number) && number >= 0 && number < 2 ** 32, "an offer is no number");
    return ACCEPTED;
  },
};

const QUESTIONS: readonly StoreQuestion[] = [
  { what: "list", node: "/local/domain" },
  { what: "read", node: "/local/domain/1/vm" },
];

/** As xenstored answers: type, number, transaction, length, and the words. */
function answered(type: number, number: number, words: string): Buffer {
  const head = Buffer.alloc(16);
  for (const [place, value] of [type, number, 0, words.length].entries()) head.writeUInt32LE(value, place * 4);
  return Buffer.concat([head, Buffer.from(words)]);
}

const store: Target = {
  name: "store-answers",
  covers: ["guests/src/xen/xen-store.ts#takeAnswers"],
  corpus: async () => [
    Buffer.concat([answered(1, 0, "0\x001\0"), answered(2, 1, "/vm/0")]),
    Buffer.concat([answered(16, 0, "E2BIG\0"), answered(16, 1, "ENOENT\0")]),
  ],
  mutate: bentBytes,
  play(input) {
    const answers: (string | null)[] = [];
    const outcome = byThrowing(() => {
      const rest = takeAnswers(Buffer.from(input), QUESTIONS, answers);
      demand(rest.length <= input.length, "more is left than came");
    }, Error);
    demand(answers.length <= QUESTIONS.length, "there are more answers than questions");
    for (const answer of answers) demand(answer === null || answer.length <= 4_096, "an answer is larger than any");
    return outcome;
  },
};

export const XEN_TARGETS: readonly Target[] = [toolstack, address, offers, store];
