/**
 * The one address that a domain may have, told to whoever asks for it by DHCP (RFC 2131, 2132), as QEMU's user network tells its machines.
 * Pure. Who controls the inputs: the guest, every byte of a question.
 */
import { NETWORK } from "./domain-network.ts";

const [REQUEST, REPLY] = [1, 2];
const HEAD_BYTES = 240;
/** No client's question is larger; those of other hardware than Ethernet are none. */
const BYTES_MAX = 1_500;
const ETHERNET = { type: 1, bytes: 6 } as const;
const COOKIE = 0x63_82_53_63;
const AT = { operation: 0, hardware: 1, hardwareBytes: 2, transaction: 4, flags: 10, own: 12, yours: 16, client: 28, cookie: 236 };
const CLIENT_BYTES = 16;
/** RFC 2132, by their numbers there. */
const OPTION = { pad: 0, mask: 1, router: 3, names: 6, wanted: 50, leaseSeconds: 51, kind: 53, server: 54, end: 255 } as const;
const KIND = { discover: 1, offer: 2, request: 3, acknowledge: 5, refuse: 6, inform: 8 } as const;
/** For ever: nothing has to be asked while no daemon runs. */
const FOR_EVER = [255, 255, 255, 255];

const bytesOf = (address: string): number[] => address.split(".").map(Number);
const [GUEST, SERVER] = [bytesOf(NETWORK.guest), bytesOf(NETWORK.gateway)];
const isAt = (bytes: Buffer | undefined, address: readonly number[]): boolean => bytes === undefined || bytes.equals(Buffer.from(address));

/** Those of a question, by number: the first of each. Null where they are cut off. */
function optionsOf(bytes: Buffer): Map<number, Buffer> | null {
  const options = new Map<number, Buffer>();
  for (let at = HEAD_BYTES; at < bytes.length;) {
    const number = bytes.readUInt8(at++);
    if (number === OPTION.pad) continue;
    if (number === OPTION.end) return options;
    if (at >= bytes.length) return null;
    const length = bytes.readUInt8(at++);
    if (at + length > bytes.length) return null;
    if (!options.has(number)) options.set(number, bytes.subarray(at, at + length));
    at += length;
  }
  return options;
}

/** What is answered to a question of that kind; null where nothing is. */
function answerTo(options: Map<number, Buffer>, own: Buffer): number | null {
  const kind = options.get(OPTION.kind);
  if (kind?.length !== 1) return null;
  switch (kind[0]) {
    case KIND.discover:
      return KIND.offer;
    case KIND.inform:
      return KIND.acknowledge;
    case KIND.request: {
      if (!isAt(options.get(OPTION.server), SERVER)) return null; // it has chosen another
      const wanted = options.get(OPTION.wanted) ?? (own.readUInt32BE() === 0 ? undefined : own);
      return isAt(wanted, GUEST) ? KIND.acknowledge : KIND.refuse;
    }
    default:
      return null;
  }
}

/** The answer to send to the guest; null where the bytes are no question. Never throws. */
export function answerAddress(bytes: Buffer): Buffer | null {
  if (bytes.length < HEAD_BYTES || bytes.length > BYTES_MAX || bytes.readUInt32BE(AT.cookie) !== COOKIE) return null;
  const isEthernet = bytes[AT.hardware] === ETHERNET.type && bytes[AT.hardwareBytes] === ETHERNET.bytes;
  if (bytes[AT.operation] !== REQUEST || !isEthernet) return null;
  const own = bytes.subarray(AT.own, AT.yours);
  const options = optionsOf(bytes);
  const kind = options && answerTo(options, own);
  if (kind === null) return null;
  const head = Buffer.alloc(HEAD_BYTES);
  head.set([REPLY, ETHERNET.type, ETHERNET.bytes]);
  for (const [from, length] of [
    [AT.transaction, 4],
    [AT.flags, 2],
    [AT.client, CLIENT_BYTES],
  ] as const)
    bytes.copy(head, from, from, from + length);
  const isInform = options?.get(OPTION.kind)?.[0] === KIND.inform;
  if (isInform) own.copy(head, AT.own);
  else if (kind !== KIND.refuse) head.set(GUEST, AT.yours);
  head.writeUInt32BE(COOKIE, AT.cookie);
  const said: (readonly [option: number, value: readonly number[]])[] = [
    [OPTION.kind, [kind]],
    [OPTION.server, SERVER],
  ];
  if (kind !== KIND.refuse)
    said.push([OPTION.mask, bytesOf(NETWORK.mask)], [OPTION.router, SERVER], [OPTION.names, bytesOf(NETWORK.names)]);
  if (kind !== KIND.refuse && !isInform) said.push([OPTION.leaseSeconds, FOR_EVER]);
  return Buffer.concat([head, Buffer.from([...said.flatMap(([option, value]) => [option, value.length, ...value]), OPTION.end])]);
}
